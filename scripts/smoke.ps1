# After `azd deploy`: wait until Azure shows all functions of the app; see smoke.sh.
$ErrorActionPreference = 'Stop'
$token = (azd auth token --output json | ConvertFrom-Json).token
$url = "https://management.azure.com$($env:FUNCTION_APP_ID)/functions?api-version=2024-04-01"
foreach ($try in 1..40) {
    $found = @()
    try {
        $answer = Invoke-RestMethod -Uri $url -Headers @{ Authorization = "Bearer $token" }
        $found = @($answer.value | ForEach-Object { ($_.name -split '/')[-1] })
    } catch {
        Write-Host "Azure did not answer: $($_.Exception.Message)"
    }
    $missing = @('batch_sync', 'batch_job', 'event_sync', 'console' | Where-Object { $_ -notin $found })
    if ($missing.Count -eq 0) {
        Write-Host "Smoke test: $($env:FUNCTION_APP) shows batch_sync, batch_job, event_sync and console."
        exit 0
    }
    Start-Sleep -Seconds 5
}
Write-Error "Smoke test failed: $($env:FUNCTION_APP) does not show: $missing. See docs/runbook.md, section 'The functions are missing after a deployment'."
exit 1
