// The event hub that real-time syncs read.
param name string
param location string
param tags object
param isPrivate bool
@description('Who gets roles here: appId, developerId (may be empty), developerType.')
param access object

@description('Events of one partition are handled in order, by one instance at a time.')
param partitions int

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard', capacity: 1 }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    isAutoInflateEnabled: true
    maximumThroughputUnits: 4
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }

  resource hub 'eventhubs' = {
    name: 'dynamics-sync'
    properties: {
      partitionCount: partitions
      // A partition waits for days when Dataverse is away: events outlive a long weekend.
      retentionDescription: { cleanupPolicy: 'Delete', retentionTimeInHours: 168 }
    }

    resource group 'consumergroups' = {
      name: 'event-sync'
      properties: {}
    }
  }
}

var dataReceiver = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
var dataSender = '2b629674-e913-4c01-ae53-ef4638d8f975'

resource appMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [dataReceiver, dataSender]: {
    name: guid(namespace.id, access.appId, role)
    scope: namespace
    properties: {
      principalId: access.appId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource developerMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(access.developerId)) {
  name: guid(namespace.id, access.developerId, dataSender)
  scope: namespace
  properties: {
    principalId: access.developerId
    principalType: access.developerType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataSender)
  }
}

output namespaceId string = namespace.id
output namespaceName string = namespace.name
output hubName string = namespace::hub.name
output consumerGroup string = namespace::hub::group.name
