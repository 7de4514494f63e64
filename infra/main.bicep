// Everything that a deployed chat runs on: docs/deploy.md tells how to use it.

targetScope = 'subscription'

// --- Where, and in which shape

@description('The name of the azd environment; it is part of the resource group\'s name.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('The region of everything but the page: one that has Flex Consumption.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('linked: a Static Web App with the Function App behind it. direct: callers with tokens of Entra.')
@allowed([
  'linked'
  'direct'
])
param shape string = 'linked'

@description('The resource group, made where it is missing; empty: rg-<environmentName>.')
param resourceGroupName string = ''

@description('The region of the page\'s Static Web App, which few regions have.')
param staticWebAppLocation string = 'westeurope'

@description('The region of a new Azure OpenAI account; empty: location.')
param openAiLocation string = ''

// --- The Function App

@description('How many requests one instance serves at once: half of what the load test held (docs/capacity.md).')
@minValue(1)
@maxValue(1000)
param perInstanceConcurrency int = 250

@description('The most instances.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Instances that are kept running, and paid for, so that no first question waits for a start.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int = 0

// --- The models

param chatDeploymentName string = 'chat'
param chatModel string = 'gpt-5-mini'
param chatModelVersion string = '2025-08-07'
param chatSku string = 'GlobalStandard'

@description('Thousands of tokens a minute.')
@minValue(1)
param chatCapacity int = 50

param embeddingsDeploymentName string = 'embeddings'
param embeddingsModel string = 'text-embedding-3-small'
param embeddingsModelVersion string = '1'
param embeddingsSku string = 'GlobalStandard'

@description('Thousands of tokens a minute.')
@minValue(1)
param embeddingsCapacity int = 50

// --- Callers, in the shape direct

@description('The client id of the app registration that callers ask tokens for; required for direct.')
param entraClientId string = ''

@description('The tenant of that registration; empty: the one that is deployed into.')
param entraTenantId string = ''

@description('Client ids of the programs that may ask for a user, with commas between; empty: the registration alone.')
param entraAllowedClientIds string = ''

@description('Origins of further pages that may call, such as https://www.example.com, with commas between.')
param allowedOrigins string = ''

// --- The app's settings: 0 and empty leave one out, and the app's default counts

@minValue(0)
param dailyTokens int = 0

@minValue(0)
param dailyTokensPerOwner int = 0

@minValue(0)
param requestsPerMinute int = 0

@minValue(0)
param retentionDays int = 0

@description('Of one instance. Turns go on when their callers leave, so it is more than perInstanceConcurrency.')
@minValue(1)
param maxConcurrentTurns int = 500

param systemPrompt string = ''
param historyTable string = 'conversations'

@description('Any further settings of the app, by their names. No secrets: whoever may read the app reads them.')
param moreSettings object = {}

// --- The network

@description('Whether storage, models and database are reached by private endpoints only.')
param privateNetworking bool = false

@description('Of the virtual network; at least a /25.')
param networkAddressPrefix string = '10.60.0.0/24'

// --- PostgreSQL with pgvector, for the documents

param deployPostgres bool = false
param postgresDatabase string = 'documents'
param postgresVersion string = '17'
param postgresSkuName string = 'Standard_B2s'
param postgresSkuTier string = 'Burstable'

@description('The object id of who administers a new server; required for it.')
param postgresAdministratorId string = ''

@description('The name of that user (as signed in), group or service principal.')
param postgresAdministratorName string = ''

@allowed([
  'Group'
  'ServicePrincipal'
  'User'
])
param postgresAdministratorType string = 'User'

// --- Resources that are there already, by their resource ids; empty: new ones

param existingStorageAccountId string = ''
param existingOpenAiId string = ''
param existingWorkspaceId string = ''
param existingApplicationInsightsId string = ''
param existingPostgresId string = ''

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
])
param storageSku string = 'Standard_LRS'

// --- Names

var token = uniqueString(subscription().id, environmentName, location)
var tags = {
  'azd-env-name': environmentName
}
var groupName = empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
var providers = '${subscription().id}/resourceGroups/${groupName}/providers'

// New or there already, each is known by its resource id, and the id says where it is:
// '', subscriptions, <2>, resourceGroups, <4>, providers, namespace, type, <8>.
var storageAccountId = empty(existingStorageAccountId) ? '${providers}/Microsoft.Storage/storageAccounts/st${token}' : existingStorageAccountId
var openAiId = empty(existingOpenAiId) ? '${providers}/Microsoft.CognitiveServices/accounts/oai-${token}' : existingOpenAiId
var applicationInsightsId = empty(existingApplicationInsightsId) ? '${providers}/Microsoft.Insights/components/appi-${token}' : existingApplicationInsightsId
var postgresId = empty(existingPostgresId) ? '${providers}/Microsoft.DBforPostgreSQL/flexibleServers/psql-${token}' : existingPostgresId
var storagePath = split(storageAccountId, '/')
var openAiPath = split(openAiId, '/')
var applicationInsightsPath = split(applicationInsightsId, '/')
var postgresPath = split(postgresId, '/')

var usesPostgres = deployPostgres || !empty(existingPostgresId)
var publicNetworkAccess = privateNetworking ? 'Disabled' : 'Enabled'
var packageContainer = 'app-package'
var tenantId = empty(entraTenantId) ? tenant().tenantId : entraTenantId
var extraOrigins = empty(allowedOrigins) ? [] : map(split(allowedOrigins, ','), origin => trim(origin))
var allowedClientIds = empty(entraAllowedClientIds) ? [entraClientId] : map(split(entraAllowedClientIds, ','), id => trim(id))
var chatDeployment = {
  name: chatDeploymentName
  model: chatModel
  version: chatModelVersion
  sku: chatSku
  capacity: chatCapacity
}
var embeddingsDeployment = {
  name: embeddingsDeploymentName
  model: embeddingsModel
  version: embeddingsModelVersion
  sku: embeddingsSku
  capacity: embeddingsCapacity
}

// --- Resources

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = if (empty(existingApplicationInsightsId)) {
  name: 'monitoring'
  scope: group
  params: {
    name: 'appi-${token}'
    workspaceName: 'log-${token}'
    location: location
    tags: tags
    existingWorkspaceId: existingWorkspaceId
  }
}

module monitoringAccess 'modules/monitoring-access.bicep' = {
  name: 'monitoring-access-${token}'
  scope: resourceGroup(applicationInsightsPath[2], applicationInsightsPath[4])
  params: {
    componentName: applicationInsightsPath[8]
    principalId: identity.outputs.principalId
  }
  dependsOn: [
    monitoring
  ]
}

module storage 'modules/storage.bicep' = if (empty(existingStorageAccountId)) {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    sku: storageSku
    publicNetworkAccess: publicNetworkAccess
  }
}

module storageAccess 'modules/storage-access.bicep' = {
  name: 'storage-access-${token}'
  scope: resourceGroup(storagePath[2], storagePath[4])
  params: {
    accountName: storagePath[8]
    principalId: identity.outputs.principalId
    packageContainer: packageContainer
    historyTable: historyTable
  }
  dependsOn: [
    storage
  ]
}

module openAi 'modules/openai.bicep' = if (empty(existingOpenAiId)) {
  name: 'openai'
  scope: group
  params: {
    name: 'oai-${token}'
    location: empty(openAiLocation) ? location : openAiLocation
    tags: tags
    publicNetworkAccess: publicNetworkAccess
    deployments: usesPostgres ? [chatDeployment, embeddingsDeployment] : [chatDeployment]
  }
}

module openAiAccess 'modules/openai-access.bicep' = {
  name: 'openai-access-${token}'
  scope: resourceGroup(openAiPath[2], openAiPath[4])
  params: {
    accountName: openAiPath[8]
    principalId: identity.outputs.principalId
  }
  dependsOn: [
    openAi
  ]
}

module postgres 'modules/postgres.bicep' = if (deployPostgres && empty(existingPostgresId)) {
  name: 'postgres'
  scope: group
  params: {
    name: 'psql-${token}'
    location: location
    tags: tags
    publicNetworkAccess: publicNetworkAccess
    databaseName: postgresDatabase
    version: postgresVersion
    skuName: postgresSkuName
    skuTier: postgresSkuTier
    administratorId: postgresAdministratorId
    administratorName: postgresAdministratorName
    administratorType: postgresAdministratorType
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    addressPrefix: networkAddressPrefix
  }
}

module blobEndpoint 'modules/private-endpoint.bicep' = if (privateNetworking) {
  name: 'blob-endpoint'
  scope: group
  params: {
    name: 'pe-blob-${token}'
    location: location
    tags: tags
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointsSubnetId
    serviceId: storageAccountId
    groupId: 'blob'
    zoneName: 'privatelink.blob.${environment().suffixes.storage}'
  }
  dependsOn: [
    storage
  ]
}

module tableEndpoint 'modules/private-endpoint.bicep' = if (privateNetworking) {
  name: 'table-endpoint'
  scope: group
  params: {
    name: 'pe-table-${token}'
    location: location
    tags: tags
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointsSubnetId
    serviceId: storageAccountId
    groupId: 'table'
    zoneName: 'privatelink.table.${environment().suffixes.storage}'
  }
  dependsOn: [
    storage
  ]
}

module openAiEndpoint 'modules/private-endpoint.bicep' = if (privateNetworking) {
  name: 'openai-endpoint'
  scope: group
  params: {
    name: 'pe-openai-${token}'
    location: location
    tags: tags
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointsSubnetId
    serviceId: openAiId
    groupId: 'account'
    zoneName: 'privatelink.openai.azure.com'
  }
  dependsOn: [
    openAi
  ]
}

module postgresEndpoint 'modules/private-endpoint.bicep' = if (privateNetworking && usesPostgres) {
  name: 'postgres-endpoint'
  scope: group
  params: {
    name: 'pe-postgres-${token}'
    location: location
    tags: tags
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointsSubnetId
    serviceId: postgresId
    groupId: 'postgresqlServer'
    zoneName: 'privatelink.postgres.database.azure.com'
  }
  dependsOn: [
    postgres
  ]
}

module page 'modules/static-web-app.bicep' = {
  name: 'page'
  scope: group
  params: {
    name: 'stapp-${token}'
    location: staticWebAppLocation
    tags: tags
    sku: shape == 'linked' ? 'Standard' : 'Free'
  }
}

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    packageContainerUrl: '${storageAccess.outputs.blobEndpoint}${packageContainer}'
    settings: union(
      moreSettings,
      {
        // The host's own storage, and the history's, by the identity.
        AzureWebJobsStorage__accountName: storagePath[8]
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__clientId: identity.outputs.clientId
        CHAT_STORAGE_TABLE: historyTable

        // The model.
        AZURE_OPENAI_ENDPOINT: openAiAccess.outputs.endpoint
        AZURE_OPENAI_CHAT_DEPLOYMENT: chatDeploymentName
        AZURE_OPENAI__credential: 'managedidentity'
        AZURE_OPENAI__clientId: identity.outputs.clientId

        // Telemetry. The connection string is an address; the identity writes.
        APPLICATIONINSIGHTS_CONNECTION_STRING: monitoringAccess.outputs.connectionString
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identity.outputs.clientId}'
        // The app sends its own log, each line with its span; else the host would.
        PYTHON_ENABLE_OPENTELEMETRY: 'true'

        CHAT_MAX_CONCURRENT_TURNS: string(maxConcurrentTurns)
      },
      // Who calls.
      shape == 'linked' ? {
        CHAT_AUTH: 'staticwebapps'
      } : {
        CHAT_AUTH: 'easyauth'
        CHAT_ALLOWED_ORIGINS: join(concat(['https://${page.outputs.hostname}'], extraOrigins), ' ')
        OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identity.outputs.clientId
      },
      // The documents.
      usesPostgres ? {
        AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT: embeddingsDeploymentName
        CHAT_RETRIEVERS: 'DOCUMENTS'
        DOCUMENTS__kind: 'postgresql'
        DOCUMENTS__host: '${postgresPath[8]}.postgres.database.azure.com'
        DOCUMENTS__database: postgresDatabase
        DOCUMENTS__user: identity.outputs.name
        DOCUMENTS__credential: 'managedidentity'
        DOCUMENTS__clientId: identity.outputs.clientId
      } : {},
      dailyTokens == 0 ? {} : {
        CHAT_DAILY_TOKENS: string(dailyTokens)
      },
      dailyTokensPerOwner == 0 ? {} : {
        CHAT_DAILY_TOKENS_PER_OWNER: string(dailyTokensPerOwner)
      },
      requestsPerMinute == 0 ? {} : {
        CHAT_REQUESTS_PER_MINUTE: string(requestsPerMinute)
      },
      retentionDays == 0 ? {} : {
        CHAT_RETENTION_DAYS: string(retentionDays)
      },
      empty(systemPrompt) ? {} : {
        AZURE_OPENAI_SYSTEM_PROMPT: systemPrompt
      }
    )
    perInstanceConcurrency: perInstanceConcurrency
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    alwaysReadyInstances: alwaysReadyInstances
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
  }
  dependsOn: [
    blobEndpoint
    tableEndpoint
  ]
}

module linkedBackend 'modules/linked-backend.bicep' = if (shape == 'linked') {
  name: 'linked-backend'
  scope: group
  params: {
    siteName: page.outputs.name
    backendId: functionApp.outputs.id
    backendLocation: location
  }
}

// After the link, which turns authentication on in its own way.
module authentication 'modules/authentication.bicep' = {
  name: 'authentication'
  scope: group
  params: {
    appName: functionApp.outputs.name
    shape: shape
    siteHostname: page.outputs.hostname
    entraClientId: entraClientId
    entraTenantId: tenantId
    entraAllowedClientIds: allowedClientIds
  }
  dependsOn: [
    linkedBackend
  ]
}

// --- What azd, the workflow and docs/deploy.md need to know: names and addresses

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name
output AZURE_STATIC_WEB_APP_NAME string = page.outputs.name
output AZURE_IDENTITY_NAME string = identity.outputs.name
output AZURE_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output AZURE_OPENAI_ENDPOINT string = openAiAccess.outputs.endpoint
output AZURE_POSTGRES_HOST string = usesPostgres ? '${postgresPath[8]}.postgres.database.azure.com' : ''
output CHAT_API_URL string = shape == 'linked' ? 'https://${page.outputs.hostname}/api' : '${functionApp.outputs.url}/api'
output CHAT_PAGE_URL string = 'https://${page.outputs.hostname}'
output CHAT_SHAPE string = shape
