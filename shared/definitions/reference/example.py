"""A definition that shows the format: it is part of the reference page, and tests load it."""

from __future__ import annotations

from typing import Final

__all__ = ["EXAMPLE"]

EXAMPLE: Final = r"""# yaml-language-server: $schema=../docs/sync.schema.json
name: customers
version: 1.0.0
description: ERP customers into Dynamics accounts
enabled: true
schedule: "0 */15 * * * *"

parameters:
  file_path: {default: syncs/data/customers.csv}
  run_tag: {formula: GUID()}
  business_date: {formula: "FILENAME(@file_path, '_([0-9]{8})\\.csv$')"}
  region: {default: Ontario}

source:
  type: delimited
  path: "@file_path"
  delimiter: ","
  text_qualifier: '"'
  encoding: utf-8
  header: true
  columns:
    - {name: Customer No, alias: number, mandatory: true, validate: true, trim: true, max_length: 20}
    - {name: Name, trim: true, replace: [{pattern: '\s+', with: " "}]}
    - {name: Revenue, alias: revenue, type: number, validate: true}
    - {name: Since, type: date, input_format: dd/MM/yyyy}
    - {name: Active, type: bool}
    - {name: title, formula: "concat_ws(', ', Name, number)"}
    - name: segment
      cases:
        - {when: revenue > 1e6, then: "'Enterprise'"}
        - {when: revenue > 1e5, then: "'Mid'"}
      default: "'Small'"
  filter: Active and revenue >= 0

destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  tenant_id: contoso.onmicrosoft.com
  client_id: {key_vault: dynamics-client-id}
  client_secret: {key_vault: dynamics-client-secret}
  id_column: accountid
  mappings:
    - {source: number, target: accountnumber}
    - {source: Name, target: name}
    - {source: revenue, target: revenue, on_null: keep}
    - {source: segment, target: accountcategorycode}
    - {value: "@run_tag", target: new_synctag}
  filter: statecode eq 0 and address1_stateorprovince eq @region
  options: {bypass_custom_logic: [sync, async], suppress_flows: true}

sync_behaviour:
  strategy: full
  sync_key: [accountnumber]
  new: insert
  changed: {when: target.name is null or source.revenue <> target.revenue}
  dropped: ignore
  safety: {max_delete: 30%, max_update: 100%}

listener:
  name: customer events
  auto_offset_reset: latest
  topic:
    format: json
    records: $.data
    match: {type: customer.changed}
    filter: new.country = 'CA'
    action: $.op
    message_key: concat(new.number, '-', new.site)
"""
