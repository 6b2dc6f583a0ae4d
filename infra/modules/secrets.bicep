// A vault of its own for the secrets that people write in the console. The app sets them, and its runs read them.
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

var here = resourceGroup().id

// No built-in role sets secrets alone: Key Vault Secrets Officer also deletes, purges and restores them.
resource writer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, name, 'writer')
  properties: {
    roleName: 'Dynamics Sync secret writer (${name})'
    description: 'Set secrets of a vault, without reading, deleting or listing them.'
    type: 'customRole'
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: ['Microsoft.KeyVault/vaults/secrets/setSecret/action']
        notDataActions: []
      }
    ]
    assignableScopes: [here]
  }
}

// Reading is for the runs; it includes the properties of secrets, by which the console sees that a name is in use.
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

resource appMaySet 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, access.appId, writer.id)
  scope: vault
  properties: {
    principalId: access.appId
    principalType: 'ServicePrincipal'
    roleDefinitionId: writer.id
  }
}

resource appMayRead 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
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
