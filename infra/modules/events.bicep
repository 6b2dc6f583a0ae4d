// The event hub that real-time syncs read.
param name string
param location string
param tags object
param openToInternet bool

@description('Events of one partition are handled in order, by one instance at a time.')
@minValue(1)
@maxValue(32)
param partitions int = 8

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
    publicNetworkAccess: openToInternet ? 'Enabled' : 'Disabled'
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

output namespaceId string = namespace.id
output namespaceName string = namespace.name
output hubName string = namespace::hub.name
output consumerGroup string = namespace::hub::group.name
