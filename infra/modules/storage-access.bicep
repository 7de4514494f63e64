// What the app needs within the storage account, and what its identity may do there.

param accountName string
param principalId string

@description('The container that the deployed package is in.')
param packageContainer string

@description('The table that keeps the history: CHAT_STORAGE_TABLE.')
param historyTable string

var storageBlobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var storageTableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: packageContainer
  properties: {
    publicAccess: 'None'
  }
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

// Made here, so that the identity needs no right to make tables.
resource history 'Microsoft.Storage/storageAccounts/tableServices/tables@2023-05-01' = {
  parent: tables
  name: historyTable
}

// For the Functions host: it keeps the lock of the timer and its keys in containers that it makes
// itself, and reads the deployed package. Contributor is not enough: Functions asks for Owner.
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, storageBlobDataOwner)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
  }
}

// For the app to keep the history: rows of this one table, and no other.
resource historyRows 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(history.id, principalId, storageTableDataContributor)
  scope: history
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageTableDataContributor)
  }
}

// No role for queues: the host uses them for queue and blob triggers, and here are only HTTP and a
// timer. No role for all tables: the host would keep its diagnostic events in one, and says in its
// log that it cannot; they are in Application Insights.

output blobEndpoint string = account.properties.primaryEndpoints.blob
