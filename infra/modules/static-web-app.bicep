// The page, as a Static Web App.

param name string
param location string
param tags object

@description('Standard can be linked to a Function App; Free only serves the page.')
@allowed([
  'Free'
  'Standard'
])
param sku string

resource site 'Microsoft.Web/staticSites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, {
    'azd-service-name': 'web'
  })
  sku: {
    name: sku
    tier: sku
  }
  properties: {
    allowConfigFileUpdates: true
    provider: 'Custom'
    // Previews would be linked to no backend.
    stagingEnvironmentPolicy: 'Disabled'
  }
}

output name string = site.name
output hostname string = site.properties.defaultHostname
