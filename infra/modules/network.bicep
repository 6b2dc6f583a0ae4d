// A network of the app's own, and private endpoints for what it reads and writes.
param token string
param location string
param tags object
param prefix string
param appPrefix string
param endpointsPrefix string
param storageId string
param namespaceId string
param vaultId string
@description('The vault of the secrets that are written in the console; empty for none.')
param secretsId string

var targets = [
  { name: 'blob', service: storageId, zone: 'privatelink.blob.${environment().suffixes.storage}' }
  { name: 'queue', service: storageId, zone: 'privatelink.queue.${environment().suffixes.storage}' }
  { name: 'table', service: storageId, zone: 'privatelink.table.${environment().suffixes.storage}' }
  { name: 'namespace', service: namespaceId, zone: 'privatelink.servicebus.windows.net' }
  { name: 'vault', service: vaultId, zone: 'privatelink.vaultcore.azure.net' }
]

// Dataverse can be told to admit certain addresses only: everything that the app sends leaves by this one.
resource egress 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: 'pip-${token}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource gateway 'Microsoft.Network/natGateways@2024-05-01' = {
  name: 'ng-${token}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: egress.id }], idleTimeoutInMinutes: 10 }
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [prefix] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: appPrefix
          natGateway: { id: gateway.id }
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: endpointsPrefix, privateEndpointNetworkPolicies: 'Disabled' }
      }
    ]
  }
}

resource appSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-05-01' existing = { parent: network, name: 'app' }
resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-05-01' existing = {
  parent: network
  name: 'endpoints'
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for target in targets: {
    name: target.zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for index in range(0, length(targets)): {
    parent: zones[index]
    name: 'link-${targets[index].name}'
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
  }
]

resource endpoints 'Microsoft.Network/privateEndpoints@2024-05-01' = [
  for target in targets: {
    name: 'pep-${target.name}-${token}'
    location: location
    tags: tags
    properties: {
      subnet: { id: endpointSubnet.id }
      privateLinkServiceConnections: [
        { name: target.name, properties: { privateLinkServiceId: target.service, groupIds: [target.name] } }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [
  for index in range(0, length(targets)): {
    parent: endpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: targets[index].name, properties: { privateDnsZoneId: zones[index].id } }]
    }
  }
]

// The second vault has the zone of the first one: names of both are in it.
resource secretsEndpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = if (!empty(secretsId)) {
  name: 'pep-secrets-${token}'
  location: location
  tags: tags
  properties: {
    subnet: { id: endpointSubnet.id }
    privateLinkServiceConnections: [
      { name: 'secrets', properties: { privateLinkServiceId: secretsId, groupIds: ['vault'] } }
    ]
  }
}

resource secretsZoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = if (!empty(secretsId)) {
  parent: secretsEndpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [{ name: 'vault', properties: { privateDnsZoneId: zones[length(targets) - 1].id } }]
  }
}

output appSubnetId string = appSubnet.id
output egressAddress string = egress.properties.ipAddress
