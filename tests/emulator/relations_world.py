"""Shared by the tests of relations: tables with every kind of relationship."""

__all__ = ["SCHEMA"]

SCHEMA = """
new_Parent:
  columns:
    new_Name: {type: String}
    new_UpId: {type: Lookup, targets: [new_parent], hierarchical: true, relationship: new_parent_parents}
    new_NextId: {type: Lookup, targets: [new_parent], relationship: new_parent_next, cascade: parental}
    new_LikeId: {type: Lookup, targets: [new_parent], relationship: new_parent_like}
new_Child:
  keys: {parent_key: [new_cascadeid, new_code]}
  columns:
    new_Name: {type: String}
    new_Code: {type: Integer}
    new_CascadeId: {type: Lookup, targets: [new_parent], relationship: new_parent_cascade, cascade: parental}
    new_RestrictId: {type: Lookup, targets: [new_parent], relationship: new_parent_restrict, cascade: restrict}
    new_LinkId: {type: Lookup, targets: [new_parent], relationship: new_parent_link}
    new_KeptId: {type: Lookup, targets: [new_parent], relationship: new_parent_kept, cascade: none}
    new_ActiveId: {type: Lookup, targets: [new_parent], relationship: new_parent_active, cascade: {assign: Active}}
    new_OwnId: {type: Lookup, targets: [new_parent], relationship: new_parent_own, cascade: {assign: UserOwned}}
    new_AnyId:
      type: Lookup
      targets: [new_parent, account]
      relationship: {new_parent: new_parent_any, account: new_account_any}
      cascade: {new_parent: parental, account: restrict}
new_Untracked:
  change_tracking: false
  columns: {new_Name: {type: String}}
many_to_many:
  new_parent_account: {tables: [new_parent, account]}
  new_parent_friends: {tables: [new_parent, new_parent], primary_id: new_friendshipid}
  new_parent_untracked: {tables: [new_parent, new_untracked]}
"""
