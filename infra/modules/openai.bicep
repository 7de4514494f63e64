// Azure OpenAI, which takes no keys, and the deployments that the app asks.

param name string
param location string
param tags object
param publicNetworkAccess string

@description('Each with name, model, version, sku and capacity.')
param deployments array

resource account 'Microsoft.CognitiveServices/accounts@2024-10-01' = {
  name: name
  location: location
  tags: tags
  kind: 'OpenAI'
  sku: {
    name: 'S0'
  }
  properties: {
    // Signing in with an identity needs an address of its own.
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny'
    }
  }
}

// One after the other: the account refuses two changes at once.
@batchSize(1)
resource models 'Microsoft.CognitiveServices/accounts/deployments@2024-10-01' = [for each in deployments: {
  parent: account
  name: each.name
  sku: {
    name: each.sku
    capacity: each.capacity
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: each.model
      version: each.version
    }
    versionUpgradeOption: 'OnceCurrentVersionExpired'
  }
}]
