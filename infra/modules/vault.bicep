// The vault of the secrets that definitions refer to.
param name string
param location string
param tags object
param isPrivate bool
param addresses array
param recover bool
@description('Who gets roles here: appId, developerId (may be empty), developerType.')
param access object

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    // Purge protection keeps a deleted vault, and its name, for 90 days.
    createMode: recover ? 'recover' : 'default'
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    publicNetworkAccess: isPrivate && empty(addresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
      ipRules: [for address in addresses: { value: address }]
    }
  }
}

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

resource appMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, access.appId, secretsUser)
  scope: vault
  properties: {
    principalId: access.appId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

resource developerMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(access.developerId)) {
  name: guid(vault.id, access.developerId, secretsOfficer)
  scope: vault
  properties: {
    principalId: access.developerId
    principalType: access.developerType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
  }
}

output id string = vault.id
output name string = vault.name
output url string = vault.properties.vaultUri
