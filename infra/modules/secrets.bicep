// A vault of its own for the secrets that people write in the console. The app sets them, and its runs read them.
param name string
param location string
param tags object
param isPrivate bool
param addresses array
param recover bool
@description('Who gets roles here: appId, developerId (may be empty), developerType.')
param access object

module made 'vault.bicep' = {
  name: 'secrets-vault'
  params: {
    name: name
    location: location
    tags: tags
    isPrivate: isPrivate
    addresses: addresses
    recover: recover
    access: access
  }
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: name
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

// The role of the app in vault.bicep reads, for the runs. It includes the properties of secrets, by which the console sees
// that a name is in use.
resource appMaySet 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, access.appId, writer.id)
  scope: vault
  dependsOn: [made]
  properties: {
    principalId: access.appId
    principalType: 'ServicePrincipal'
    roleDefinitionId: writer.id
  }
}

output id string = made.outputs.id
output name string = made.outputs.name
output url string = made.outputs.url
