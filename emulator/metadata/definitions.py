"""The schema as JSON of `EntityDefinitions`: EntityMetadata and EntityKeyMetadata."""

from typing import Any, Final
from uuid import uuid5

from emulator.metadata.attributes import label_json, managed
from emulator.schema import AlternateKey, Table
from emulator.schema.privileges import privilege_id, privilege_name, privilege_types
from emulator.store.system_rows import NAMESPACE

__all__ = ["Json", "entity_json", "key_json", "metadata_id"]

Json = dict[str, Any]


# Properties of EntityMetadata with the same value for every table of the emulator.
_NOTHING: Final = (
    *("EntityColor", "EntityHelpUrl", "ExternalName", "ExternalCollectionName", "IconLargeName", "IconMediumName"),
    *("IconSmallName", "IconVectorName", "MobileOfflineFilters", "RecurrenceBaseEntityLogicalName", "ReportViewName"),
    *("DataSourceId", "OwnerId", "OwnerIdType", "OwningBusinessUnit", "SettingOf", "HasChanged"),
)
_NO: Final = (
    "SyncToExternalSearchIndex",
    *("AutoCreateAccessTeams", "AutoRouteToOwnerQueue", "EntityHelpUrlEnabled"),
    *(
        "HasEmailAddresses",
        "HasFeedback",
        "IsAIRUpdated",
        "IsArchivalEnabled",
        "IsBPFEntity",
        "IsBusinessProcessEnabled",
    ),
    *(
        "IsChildEntity",
        "IsDocumentManagementEnabled",
        "IsDocumentRecommendationsEnabled",
        "IsEnabledForExternalChannels",
    ),
    *("IsInteractionCentricEnabled", "IsKnowledgeManagementEnabled", "IsLogicalEntity", "IsMSTeamsIntegrationEnabled"),
    *("IsOneNoteIntegrationEnabled", "IsQuickCreateEnabled", "IsRetentionEnabled", "IsRetrieveAuditEnabled"),
    *("IsRetrieveMultipleAuditEnabled", "IsSLAEnabled", "UsesBusinessDataLabelTable"),
)
_YES: Final = (
    *(
        "CanTriggerWorkflow",
        "IsAvailableOffline",
        "IsEnabledForCharts",
        "IsEnabledForTrace",
        "IsImportable",
        "IsReadingPaneEnabled",
    ),
    "IsSolutionAware",
)
_MANAGED: Final = (
    *(
        "CanBeInManyToMany",
        "CanBePrimaryEntityInRelationship",
        "CanBeRelatedEntityInRelationship",
        "CanCreateAttributes",
    ),
    *("CanCreateCharts", "CanCreateForms", "CanCreateViews", "CanModifyAdditionalSettings", "IsAuditEnabled"),
    *(
        "IsConnectionsEnabled",
        "IsDuplicateDetectionEnabled",
        "IsMailMergeEnabled",
        "IsMappable",
        "IsOfflineInMobileClient",
    ),
    *("CanBeInCustomEntityAssociation", "CanChangeHierarchicalRelationship", "CanEnableSyncToExternalSearchIndex"),
    *("IsReadOnlyInMobileClient", "IsRenameable", "IsValidForQueue", "IsVisibleInMobile", "IsVisibleInMobileClient"),
)
_SAME_FOR_ALL: Final[Json] = {
    **dict.fromkeys(_NOTHING),
    **dict.fromkeys(_NO, False),
    **dict.fromkeys(_YES, True),
    **{name: managed(value=True, name=name.lower()) for name in _MANAGED},
    **dict.fromkeys(("CreatedOn", "ModifiedOn"), "1900-01-01T00:00:00Z"),
    "ActivityTypeMask": 0,
    "DaysSinceRecordLastModified": 0,
    "Settings": [],
}


def metadata_id(kind: str, name: str) -> str:
    """Returns the identifier of a definition, the same in every emulator."""
    return str(uuid5(NAMESPACE, f"{kind} {name}"))


def entity_json(table: Table) -> Json:
    """Returns the table's own properties; columns, keys and relationships are added by `$expand`."""
    return {
        "MetadataId": metadata_id("table", table.logical_name),
        "LogicalName": table.logical_name,
        "SchemaName": table.schema_name,
        "EntitySetName": table.entity_set,
        "LogicalCollectionName": table.entity_set,
        "CollectionSchemaName": table.schema_name + "s",
        "DisplayName": label_json(table.display_name),
        "DisplayCollectionName": label_json(table.display_collection_name),
        "Description": label_json(""),
        "PrimaryIdAttribute": table.primary_id,
        "PrimaryNameAttribute": None if table.intersect else table.primary_name,
        "PrimaryImageAttribute": None,
        "ObjectTypeCode": table.object_type_code,
        "OwnershipType": table.ownership,
        "TableType": "Elastic" if table.elastic else "Standard",
        "DataProviderId": None,
        "IsActivity": table.activity,
        "IsActivityParty": table.activity_party,
        "IsStateModelAware": table.has_state and (table.custom or table.logical_name == "incident"),
        "EnforceStateTransitions": table.enforce_transitions,
        "IsCustomEntity": table.custom,
        "IsManaged": not table.custom,
        "IsPrivate": False,
        "IsIntersect": table.intersect is not None,
        "IsValidForAdvancedFind": True,
        "IsCustomizable": managed(value=True, name="iscustomizable"),
        "HasActivities": table.has_activities,
        "HasNotes": table.has_notes,
        "ChangeTrackingEnabled": table.change_tracking,
        "CanChangeTrackingBeEnabled": managed(value=True, name="canchangetrackingbeenabled"),
        "IsOptimisticConcurrencyEnabled": table.optimistic_concurrency,
        "IntroducedVersion": "1.0",
        "Privileges": [_privilege(table, kind) for kind in privilege_types(table)],
        **_SAME_FOR_ALL,
    }


def _privilege(table: Table, kind: str) -> Json:
    """Returns a SecurityPrivilegeMetadata."""
    name, by_unit = privilege_name(table, kind), table.ownership == "UserOwned"
    return {
        "CanBeBasic": by_unit,
        "CanBeLocal": by_unit,
        "CanBeDeep": by_unit,
        "CanBeGlobal": True,
        "CanBeEntityReference": False,
        "CanBeParentEntityReference": False,
        "CanBeRecordFilter": False,
        "Name": name,
        "PrivilegeId": privilege_id(name),
        "PrivilegeType": kind,
    }


def key_json(table: Table, key: AlternateKey) -> Json:
    """Returns an EntityKeyMetadata."""
    return {
        "MetadataId": metadata_id("key", f"{table.logical_name}.{key.name}"),
        "SchemaName": key.name,
        "LogicalName": key.name.lower(),
        "DisplayName": label_json(key.display_name or key.name),
        "EntityLogicalName": table.logical_name,
        "KeyAttributes": list(key.columns),
        "EntityKeyIndexStatus": key.status,
        "AsyncJob": key.job,
        "IsManaged": False,
        "IsCustomizable": managed(value=True, name="iscustomizable"),
        "IsSecondaryKey": False,
        "IsSynchronous": False,
        "IsExportKey": False,
        "IntroducedVersion": "1.0",
        "HasChanged": None,
    }
