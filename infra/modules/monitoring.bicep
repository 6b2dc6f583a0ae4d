// Where logs, spans and metrics go. Telemetry is taken from the app's identity alone.
param token string
param location string
param tags object
@description('Who gets roles here: appId, developerId (may be empty), developerType.')
param access object

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${token}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource appMay 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, access.appId, metricsPublisher)
  scope: insights
  properties: {
    principalId: access.appId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

output connectionString string = insights.properties.ConnectionString
output insightsId string = insights.id
output insightsName string = insights.name
