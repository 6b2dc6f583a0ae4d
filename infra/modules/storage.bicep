// The app's storage account: its package, the host's leases and checkpoints, the state store, jobs, and definitions.
param name string
param location string
param tags object
param sku string
param isPrivate bool
param addresses array
param retentionDays int
@description('Where the console is served; its pages send files to the container for uploads. Empty for no console.')
param consoleOrigin string
@description('Who gets roles here: appId, developerId (may be empty), developerType.')
param access object

var packages = 'app-package'
var state = 'dynamics-sync'
var memory = 'dynamics-sync-memory'
var definitions = 'definitions'
var uploads = 'dynamics-sync-uploads'

// Regions with availability zones and zone-redundant storage (Azure regions list). Elsewhere one place is all there is.
var zoned = [
  'australiaeast'
  'austriaeast'
  'belgiumcentral'
  'brazilsouth'
  'canadacentral'
  'centralindia'
  'centralus'
  'chilecentral'
  'eastasia'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'indonesiacentral'
  'israelcentral'
  'italynorth'
  'japaneast'
  'japanwest'
  'koreacentral'
  'malaysiawest'
  'mexicocentral'
  'newzealandnorth'
  'northeurope'
  'norwayeast'
  'polandcentral'
  'qatarcentral'
  'southafricanorth'
  'southcentralus'
  'southeastasia'
  'spaincentral'
  'swedencentral'
  'switzerlandnorth'
  'uaenorth'
  'uksouth'
  'westeurope'
  'westus2'
  'westus3'
]
var place = toLower(replace(location, ' ', ''))
var chosenSku = !empty(sku) ? sku : contains(zoned, place) ? 'Standard_ZRS' : 'Standard_LRS'

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: chosenSku }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate && empty(addresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
      ipRules: [for address in addresses: { value: address, action: 'Allow' }]
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: 7 }
      containerDeleteRetentionPolicy: { enabled: true, days: 7 }
      // A browser asks for this rule before it sends a file to the address that the console has signed.
      cors: {
        corsRules: empty(consoleOrigin) ? [] : [
          {
            allowedOrigins: [consoleOrigin]
            allowedMethods: ['PUT']
            allowedHeaders: ['content-type', 'x-ms-blob-type']
            exposedHeaders: []
            maxAgeInSeconds: 600
          }
        ]
      }
    }

    resource package 'containers' = {
      name: packages
      properties: { publicAccess: 'None' }
    }

    // Dead letters and error files; the tables are made by the app itself.
    resource stateFiles 'containers' = {
      name: state
      properties: { publicAccess: 'None' }
    }

    // Ledgers and mirrors: what syncs remember of their records. They hold values of rows, so they lie apart.
    resource memoryFiles 'containers' = {
      name: memory
      properties: { publicAccess: 'None' }
    }

    // Files on their way from a browser to a job or a source.
    resource uploadedFiles 'containers' = {
      name: uploads
      properties: { publicAccess: 'None' }
    }

    resource definitionFiles 'containers' = {
      name: definitions
      properties: { publicAccess: 'None' }
    }
  }

  // One message a job, and the messages that were delivered too often.
  resource queues 'queueServices' = {
    name: 'default'

    resource jobs 'queues' = { name: 'dynamics-sync-jobs' }

    resource poisonedJobs 'queues' = { name: 'dynamics-sync-jobs-poison' }
  }

  // The app prunes what it keeps after RETENTION_DAYS. This removes the files that a stopped app leaves behind.
  resource policy 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'state-files'
            enabled: true
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['${state}/runs/', '${state}/dead-letters/'] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: retentionDays + 30 } } }
            }
          }
          {
            name: 'uploads'
            enabled: true
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['${uploads}/'] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 1 } } }
            }
          }
        ]
      }
    }
    dependsOn: [blobs]
  }
}

var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
// The host takes messages and moves those that were delivered too often; the app sends them and reads the latter.
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
// Who may start a sync from the command line sends messages.
var queueMessageSender = 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'

resource appMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [blobDataOwner, tableDataContributor, queueDataContributor]: {
    name: guid(account.id, access.appId, role)
    scope: account
    properties: {
      principalId: access.appId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource developerMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [blobDataOwner, tableDataContributor, queueMessageSender]: if (!empty(access.developerId)) {
    name: guid(account.id, access.developerId, role)
    scope: account
    properties: {
      principalId: access.developerId
      principalType: access.developerType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

output id string = account.id
output name string = account.name
output packageContainer string = '${account.properties.primaryEndpoints.blob}${packages}'
output definitionsUrl string = 'abfs://${definitions}/syncs'
