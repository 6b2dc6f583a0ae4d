// Everything that the app needs in Azure, in a resource group of its own. No keys: every connection is by identity.
targetScope = 'subscription'

@description('Names the environment; part of every resource name.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of all resources.')
param location string

@description('Object id of the developer who may put secrets into the vault and events into the hub; empty for none.')
param developerId string = ''

@description('What the developer is: User, or ServicePrincipal for a pipeline.')
@allowed(['User', 'ServicePrincipal', 'Group'])
param developerType string = 'User'

@description('Whether storage, vault and event hub are reached through private endpoints only.')
param privateNetwork bool = false

@description('Address range of the private network, /16 to /22.')
param networkPrefix string = '10.0.0.0/16'

@description('Public IPv4 addresses or ranges that may reach storage and vault beside the private network; separated by commas.')
param allowedAddresses string = ''

@description('Redundancy of the storage account; empty for zones where the region has them, else one place.')
@allowed(['', 'Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = ''

@description('Whether a soft-deleted vault of the same name is recovered: needed for the first deployment after azd down.')
param recoverVault bool = false

@description('Who gets the alerts by mail; empty for no mail.')
param alertEmail string = ''

@description('Hours without one successful run of a sync after which an alert fires.')
@minValue(1)
@maxValue(48)
param alertHours int = 24

@description('Events that wait in the event hub, at each tick of a quarter of an hour, above which an alert fires.')
@minValue(0)
param alertEvents int = 1000

@description('When the timer asks which syncs are due: NCRONTAB, seconds first.')
param batchSyncSchedule string = '0 * * * * *'

@description('Where the definitions are: the folder in the package, or a URL such as abfs://definitions/syncs.')
param syncDefinitions string = 'syncs'

@description('Days that runs, their errors and files, and dead letters are kept.')
@minValue(1)
@maxValue(3650)
param retentionDays int = 90

@description('Application id of the registration that people sign in to the console with; empty for no console.')
param consoleClientId string = ''

@description('Whether the console writes secrets, into a vault of its own. Whoever deploys makes a custom role then.')
param consoleSecrets bool = false

@description('Further app settings as NAME=value, separated by semicolons. They win over the settings above.')
param appSettings string = ''

@description('The most instances that the app scales out to.')
@minValue(40)
@maxValue(1000)
param mostInstances int = 40

@description('Memory of an instance in MB.')
@allowed([2048, 4096])
param instanceMemory int = 4096

@description('Partitions of the event hub. They cannot be changed later in the Standard tier.')
@minValue(1)
@maxValue(32)
param eventPartitions int = 8

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: { name: 'id-${token}', location: location, tags: tags }
}

var access = {
  appId: identity.outputs.principalId
  developerId: developerId
  developerType: developerType
}

module values 'modules/values.bicep' = {
  name: 'values'
  params: { addresses: allowedAddresses, settings: appSettings, networkPrefix: networkPrefix }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: { token: token, location: location, tags: tags, access: access }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    sku: storageSku
    isPrivate: privateNetwork
    addresses: values.outputs.addresses
    retentionDays: retentionDays
    consoleOrigin: empty(consoleClientId) ? '' : 'https://func-${token}.azurewebsites.net'
    access: access
  }
}

module events 'modules/events.bicep' = {
  name: 'events'
  scope: group
  params: {
    name: 'evhns-${token}'
    location: location
    tags: tags
    isPrivate: privateNetwork
    partitions: eventPartitions
    access: access
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    isPrivate: privateNetwork
    addresses: values.outputs.addresses
    recover: recoverVault
    access: access
  }
}

module secrets 'modules/secrets.bicep' = if (consoleSecrets) {
  name: 'secrets'
  scope: group
  params: {
    name: 'kvc-${token}'
    location: location
    tags: tags
    isPrivate: privateNetwork
    addresses: values.outputs.addresses
    recover: recoverVault
    access: access
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    prefix: networkPrefix
    appPrefix: values.outputs.appPrefix
    endpointsPrefix: values.outputs.endpointsPrefix
    storageId: storage.outputs.id
    namespaceId: events.outputs.namespaceId
    vaultId: vault.outputs.id
    secretsId: consoleSecrets ? secrets!.outputs.id : ''
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    token: token
    location: location
    tags: union(tags, { 'azd-service-name': 'sync' })
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    namespaceName: events.outputs.namespaceName
    hubName: events.outputs.hubName
    consumerGroup: events.outputs.consumerGroup
    vaultUrl: vault.outputs.url
    secretsUrl: consoleSecrets ? secrets!.outputs.url : ''
    insightsConnection: monitoring.outputs.connectionString
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    mostInstances: mostInstances
    instanceMemory: instanceMemory
    consoleClientId: consoleClientId
    options: {
      BATCH_SYNC_SCHEDULE: batchSyncSchedule
      SYNC_DEFINITIONS: syncDefinitions
      RETENTION_DAYS: string(retentionDays)
    }
    moreSettings: values.outputs.settings
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    insightsId: monitoring.outputs.insightsId
    email: alertEmail
    hours: alertHours
    waitingEvents: alertEvents
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: { token: token, location: location, tags: tags, insightsId: monitoring.outputs.insightsId }
}

output AZURE_RESOURCE_GROUP string = group.name
output KEY_VAULT_NAME string = vault.outputs.name
output KEY_VAULT_URL string = vault.outputs.url
output CONSOLE_SECRETS_VAULT_NAME string = consoleSecrets ? secrets!.outputs.name : ''
output STORAGE_ACCOUNT string = storage.outputs.name
output DEFINITIONS_URL string = storage.outputs.definitionsUrl
output EVENT_HUB_NAMESPACE string = '${events.outputs.namespaceName}.servicebus.windows.net'
output EVENT_HUB_NAME string = events.outputs.hubName
output FUNCTION_APP string = app.outputs.name
output FUNCTION_APP_ID string = app.outputs.id
output FUNCTION_APP_URL string = app.outputs.url
output APP_CLIENT_ID string = identity.outputs.clientId
output APP_PRINCIPAL_ID string = identity.outputs.principalId
output APPLICATION_INSIGHTS string = monitoring.outputs.insightsName
output EGRESS_ADDRESS string = privateNetwork ? network!.outputs.egressAddress : ''
