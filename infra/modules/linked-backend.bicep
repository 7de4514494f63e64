// The link from the Static Web App to the Function App: /api/* leads there.

param siteName string
param backendId string
param backendLocation string

resource site 'Microsoft.Web/staticSites@2024-04-01' existing = {
  name: siteName
}

resource link 'Microsoft.Web/staticSites/linkedBackends@2024-04-01' = {
  parent: site
  name: 'api'
  properties: {
    backendResourceId: backendId
    region: backendLocation
  }
}
