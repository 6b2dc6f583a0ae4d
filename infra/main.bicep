// Everything that the app needs in Azure, in a resource group of its own. No keys: every connection is by identity.
targetScope = 'subscription'

@description('Names the environment; part of every resource name.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of all resources.')
param location string

@description('Object id of the developer who may put secrets into the vault and events into the hub; empty for nobody.')
param developerId string = ''

@description('Whether storage, vault and event hub are reached through private endpoints only.')
param privateNetwork bool = false

@description('Who gets the alerts by mail; empty for nobody.')
param alertEmail string = ''

@description('When the timer asks which syncs are due: NCRONTAB, seconds first.')
param batchSyncSchedule string = '0 * * * * *'

@description('The most instances that the app scales out to.')
@minValue(40)
@maxValue(1000)
param mostInstances int = 40

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

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: { token: token, location: location, tags: tags }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: { name: 'st${token}', location: location, tags: tags, openToInternet: !privateNetwork }
}

module events 'modules/events.bicep' = {
  name: 'events'
  scope: group
  params: { name: 'evhns-${token}', location: location, tags: tags, openToInternet: !privateNetwork }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: { name: 'kv-${token}', location: location, tags: tags, openToInternet: !privateNetwork }
}

module access 'modules/access.bicep' = {
  name: 'access'
  scope: group
  params: { appId: identity.outputs.principalId, developerId: developerId }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    storageId: storage.outputs.id
    namespaceId: events.outputs.namespaceId
    vaultId: vault.outputs.id
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
    insightsConnection: monitoring.outputs.connectionString
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    schedule: batchSyncSchedule
    mostInstances: mostInstances
  }
  // The host reads its package and its leases by identity from its first second.
  dependsOn: [access]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: { token: token, location: location, tags: tags, insightsId: monitoring.outputs.insightsId, email: alertEmail }
}

output AZURE_RESOURCE_GROUP string = group.name
output KEY_VAULT_URL string = vault.outputs.url
output EVENT_HUB_NAMESPACE string = '${events.outputs.namespaceName}.servicebus.windows.net'
output FUNCTION_APP string = app.outputs.name
output FUNCTION_APP_URL string = app.outputs.url
