// What an operator is woken for: failed and refused runs, runs with errors, dead letters, throttling.
param token string
param location string
param tags object
param insightsId string
param email string

var rules = [
  {
    name: 'failed-runs'
    text: 'A batch sync failed or was refused, or its definition has mistakes.'
    severity: 1
    query: 'customMetrics | where name == "dynamics_sync.runs" and tostring(customDimensions.state) in ("Failed", "Refused")'
    most: 0
  }
  {
    name: 'rows-with-errors'
    text: 'A batch sync completed with errors: rows were rejected or changes refused.'
    severity: 3
    query: 'customMetrics | where name == "dynamics_sync.runs" and tostring(customDimensions.state) == "Completed with errors"'
    most: 0
  }
  {
    name: 'dead-letters'
    text: 'Events could not be applied and wait in the dead-letter store.'
    severity: 2
    query: 'customMetrics | where name == "dynamics_sync.dead_letters"'
    most: 0
  }
  {
    name: 'throttled'
    text: 'Dataverse throttles the app for longer than the writer can smooth out.'
    severity: 3
    query: 'customMetrics | where name == "dynamics_sync.throttled"'
    most: 1000
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'dynsync'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for index in range(0, length(rules)): {
    name: 'alert-${rules[index].name}-${token}'
    location: location
    tags: tags
    properties: {
      displayName: rules[index].name
      description: rules[index].text
      severity: rules[index].severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: rules[index].query
            metricMeasureColumn: 'valueSum'
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: rules[index].most
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: empty(email) ? [] : [people.id] }
    }
  }
]
