// The function app, on Flex Consumption.
param token string
param location string
param tags object
param identityId string
param identityClientId string
param storageName string
param packageContainer string
param namespaceName string
param hubName string
param consumerGroup string
param vaultUrl string
@description('URL of the vault into which the console writes secrets; empty for none.')
param secretsUrl string
@secure()
param insightsConnection string
param subnetId string
param mostInstances int
param instanceMemory int

@description('Application id of the registration that people sign in to the console with; empty for no console.')
param consoleClientId string

@description('Settings that main.bicep names one by one.')
param options object

@description('Further settings; they win over all others.')
param moreSettings object

var consoleSettings = empty(consoleClientId) ? {} : { OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId }

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-${token}'
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    // Without it Azure reads the secrets of settings with a system-assigned identity, which this app does not have.
    keyVaultReferenceIdentity: identityId
    // Flex Consumption has no FTP, and Azure refuses the whole app where ftpsState is set (error 51021).
    siteConfig: { minTlsVersion: '1.2', http20Enabled: true }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainer
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: { maximumInstanceCount: mostInstances, instanceMemoryMB: instanceMemory }
      runtime: { name: 'python', version: '3.13' }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  // Every setting is written here: one that is made by hand is gone after the next provisioning.
  properties: union({
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    EventHubConnection__fullyQualifiedNamespace: '${namespaceName}.servicebus.windows.net'
    EventHubConnection__credential: 'managedidentity'
    EventHubConnection__clientId: identityClientId
    AZURE_CLIENT_ID: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    KEY_VAULT_URL: vaultUrl
    CONSOLE_SECRETS_VAULT: secretsUrl
    STATE_STORE: 'azure'
    // An instance has 0.8 GB of temporary disk, and its file system may show more.
    WORKSPACE_DISK: '750MB'
    EVENT_HUB_NAME: hubName
    EVENT_HUB_CONSUMER_GROUP: consumerGroup
  }, consoleSettings, options, moreSettings)
}

// People and applications sign in with Entra ID before a request reaches the console. The registration trusts the app's
// identity, so that no secret is kept. The host's own paths have keys of their own.
resource signIn 'Microsoft.Web/sites/config@2024-04-01' = if (!empty(consoleClientId)) {
  parent: app
  name: 'authsettingsV2'
  dependsOn: [settings]
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: ['/admin/*', '/runtime/*']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: consoleClientId
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: { allowedAudiences: [consoleClientId, 'api://${consoleClientId}'] }
      }
    }
    login: { tokenStore: { enabled: false } }
    httpSettings: { requireHttps: true }
  }
}

output name string = app.name
output id string = app.id
output url string = 'https://${app.properties.defaultHostName}'
