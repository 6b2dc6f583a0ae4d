// Who may do what: the app what it needs, the developer what filling vault and hub needs.
// The resource group holds this app's resources and nothing else, so the roles are given on the group.
param appId string
param developerId string

var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var eventHubsDataReceiver = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
var eventHubsDataSender = '2b629674-e913-4c01-ae53-ef4638d8f975'
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var keyVaultSecretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

resource appMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [
    blobDataOwner
    tableDataContributor
    eventHubsDataReceiver
    eventHubsDataSender
    keyVaultSecretsUser
  ]: {
    name: guid(resourceGroup().id, appId, role)
    properties: {
      principalId: appId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource developerMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [
    blobDataOwner
    tableDataContributor
    eventHubsDataSender
    keyVaultSecretsOfficer
  ]: if (!empty(developerId)) {
    name: guid(resourceGroup().id, developerId, role)
    properties: {
      principalId: developerId
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]
