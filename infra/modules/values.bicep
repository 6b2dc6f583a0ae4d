// Values that azd gives as text, taken apart. In a file of its own, because checkov does not know lambdas and cidrSubnet.
targetScope = 'subscription'

@description('Addresses or ranges, separated by commas.')
param addresses string

@description('Settings as NAME=value, separated by semicolons.')
param settings string

@description('Address range of the private network.')
param networkPrefix string

var pairs = filter(split(settings, ';'), pair => contains(pair, '='))

output addresses array = filter(map(split(addresses, ','), address => trim(address)), address => !empty(address))
output settings object = toObject(
  pairs,
  pair => trim(substring(pair, 0, indexOf(pair, '='))),
  pair => trim(substring(pair, indexOf(pair, '=') + 1))
)
output appPrefix string = cidrSubnet(networkPrefix, 24, 0)
output endpointsPrefix string = cidrSubnet(networkPrefix, 24, 1)
