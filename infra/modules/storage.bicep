// The app's storage account: its package, the host's leases and checkpoints, and the state store.
param name string
param location string
param tags object
param openToInternet bool

var packages = 'app-package'

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: openToInternet ? 'Enabled' : 'Disabled'
    networkAcls: { defaultAction: openToInternet ? 'Allow' : 'Deny', bypass: 'AzureServices' }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: 7 }
      containerDeleteRetentionPolicy: { enabled: true, days: 7 }
    }

    resource package 'containers' = {
      name: packages
      properties: { publicAccess: 'None' }
    }

    // Dead letters and error files; the tables are made by the app itself.
    resource state 'containers' = {
      name: 'dynamics-sync'
      properties: { publicAccess: 'None' }
    }
  }
}

output id string = account.id
output name string = account.name
output packageContainer string = '${account.properties.primaryEndpoints.blob}${packages}'
