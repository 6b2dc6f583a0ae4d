// One page of charts in the portal: runs, rows, errors, throttling, lag, dead letters.
param token string
param location string
param tags object
param insightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, token, 'dynamics-sync')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Dynamics Sync'
    category: 'workbook'
    sourceId: insightsId
    version: 'Notebook/1.0'
    serializedData: loadTextContent('workbook.json')
  }
}

output id string = workbook.id
