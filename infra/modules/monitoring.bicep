// Application Insights, which takes telemetry from signed-in senders only, and its workspace.

param name string
param workspaceName string
param location string
param tags object

@description('The resource id of a Log Analytics workspace that is there already; empty: a new one.')
param existingWorkspaceId string

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = if (empty(existingWorkspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    retentionInDays: 30
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: name
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    // With this the connection string is an address and no key: whoever has it cannot write.
    DisableLocalAuth: true
    WorkspaceResourceId: empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId
  }
}
