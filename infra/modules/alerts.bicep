// When an operator is told, and how urgently. docs/monitoring.md says for each rule what to do.
param token string
param location string
param tags object
param insightsId string
param email string
param hours int
param waitingEvents int

// The queries use few operators, because a test runs them over telemetry that the app has sent.
var rules = [
  {
    name: 'failed-runs'
    text: 'A batch sync failed, or its plan was refused.'
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    query: 'customMetrics | where name == "dynamics_sync.runs" | where tostring(customDimensions.state) in ("Failed", "Refused")'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'no-success'
    text: 'A sync that was started has not succeeded once for hours.'
    severity: 1
    every: 'PT1H'
    window: 'P2D'
    query: 'customMetrics | where timestamp > ago(${hours}h) | where name == "dynamics_sync.runs" | summarize good = sumif(valueSum, tostring(customDimensions.state) in ("Succeeded", "Completed with errors")) by sync = tostring(customDimensions.sync) | where good == 0'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'no-ticks'
    text: 'The timer has not looked for due syncs for a quarter of an hour.'
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    query: 'customMetrics | where name == "dynamics_sync.ticks"'
    operator: 'LessThan'
    rows: 1
  }
  {
    name: 'failed-invocations'
    text: 'Calls of the functions end with an error.'
    severity: 2
    every: 'PT5M'
    window: 'PT15M'
    query: 'requests | where success == false'
    operator: 'GreaterThan'
    rows: 2
  }
  {
    name: 'late-syncs'
    text: 'A sync has been due for more than an hour and has not been started, or its definition has mistakes.'
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    query: 'customMetrics | where name == "dynamics_sync.overdue" | where valueMax > 3600'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'interrupted-runs'
    text: 'A sync was interrupted several times: it does not fit into the time limit, or its process ends.'
    severity: 2
    every: 'PT15M'
    window: 'PT6H'
    query: 'customMetrics | where name == "dynamics_sync.runs" | where tostring(customDimensions.state) == "Interrupted" | summarize times = sum(valueSum) by sync = tostring(customDimensions.sync) | where times >= 3'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'poisoned-jobs'
    text: 'The process that ran a job ended several times, and the job was given up.'
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    query: 'customMetrics | where name == "dynamics_sync.poisoned"'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'event-lag'
    text: 'Events wait in the hub for more than 15 minutes.'
    severity: 2
    every: 'PT5M'
    window: 'PT15M'
    query: 'customMetrics | where name == "dynamics_sync.events.lag" | where valueMax > 900'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'events-waiting'
    text: 'Many events have waited in the hub for a quarter of an hour.'
    severity: 2
    every: 'PT5M'
    window: 'PT15M'
    // The least of all ticks: a number that goes down in between is work in progress.
    query: 'customMetrics | where name == "dynamics_sync.events.waiting" | summarize least = min(valueMin) | where least > ${waitingEvents}'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'unread-partitions'
    text: 'Partitions of the hub are not read: their checkpoints are ahead of it.'
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    query: 'customMetrics | where name == "dynamics_sync.partitions.unread"'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'dead-letters'
    text: 'Events could not be applied and are kept as dead letters.'
    severity: 2
    every: 'PT5M'
    window: 'PT15M'
    query: 'customMetrics | where name == "dynamics_sync.dead_letters"'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'many-bad-rows'
    text: 'More than 5 % of the rows of a sync were rejected or refused.'
    severity: 3
    every: 'PT15M'
    window: 'PT1H'
    query: 'customMetrics | where name in ("dynamics_sync.rows", "dynamics_sync.source.rows") | summarize bad = sumif(valueSum, tostring(customDimensions.action) in ("rejected", "failed")), total = sumif(valueSum, name == "dynamics_sync.source.rows") by sync = tostring(customDimensions.sync) | where bad > 0.05 * total'
    operator: 'GreaterThan'
    rows: 0
  }
  {
    name: 'throttled'
    text: 'Dataverse refuses many requests of one sync by its service protection limits.'
    severity: 3
    every: 'PT15M'
    window: 'PT30M'
    query: 'customMetrics | where name == "dynamics_sync.throttled" | summarize times = sum(valueSum) by sync = tostring(customDimensions.sync) | where times > 1000'
    operator: 'GreaterThan'
    rows: 0
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
  for rule in rules: {
    name: 'alert-${rule.name}-${token}'
    location: location
    tags: tags
    properties: {
      displayName: rule.name
      description: rule.text
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: rule.every
      windowSize: rule.window
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.operator
            threshold: rule.rows
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: empty(email) ? [] : [people.id] }
    }
  }
]
