// The vault of the secrets that definitions refer to.
param name string
param location string
param tags object
param openToInternet bool

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    publicNetworkAccess: openToInternet ? 'Enabled' : 'Disabled'
    networkAcls: { defaultAction: openToInternet ? 'Allow' : 'Deny', bypass: 'AzureServices' }
  }
}

output id string = vault.id
output name string = vault.name
output url string = vault.properties.vaultUri
