// Runs the published package dynamics-web-api, unchanged, through its paces against a service whose address and
// credentials come as JSON on the command line. Prints one JSON object: what each step gave back.
import { DynamicsWebApi } from "dynamics-web-api";

const start = JSON.parse(process.argv[2]);

async function token() {
  const answer = await fetch(start.token_url, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: start.client_id,
      client_secret: start.client_secret,
      scope: `${start.service_url}/.default`,
    }),
  });
  return (await answer.json()).access_token;
}

const bearer = await token();
const api = new DynamicsWebApi({
  serverUrl: start.service_url,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => bearer,
});

async function failure(attempt) {
  try {
    await attempt();
    return null;
  } catch (error) {
    const first = Array.isArray(error) ? error.find((item) => item instanceof Error) : error;
    const detail = first.error ?? first; // In a batch the client leaves the body's object as it is.
    return { status: first.status, code: detail.code, message: detail.message };
  }
}

const result = {};

// One row: create, retrieve, update, one property, delete.
const contact = await api.create({ collection: "contacts", data: { firstname: "Ada", lastname: "Lovelace" } });
result.created = await api.create({
  collection: "accounts",
  data: { name: "Adventure Works", revenue: 12.5, "primarycontactid@odata.bind": `/contacts(${contact})` },
  returnRepresentation: true,
  select: ["name", "revenue", "_primarycontactid_value"],
});
const id = result.created.accountid;
result.contact = contact;
result.retrieved = await api.retrieve({
  collection: "accounts",
  key: id,
  select: ["name"],
  expand: [{ property: "primarycontactid", select: ["fullname"] }],
  includeAnnotations: "*",
});
// The client answers a refused condition with false, and a refused create-only upsert with null.
result.stale = await api.update({ collection: "accounts", key: id, data: { name: "x" }, ifmatch: 'W/"1"' });
result.updated = await api.update({
  collection: "accounts",
  key: id,
  data: { name: "Adventure Works Cycles" },
  returnRepresentation: true,
  select: ["name"],
});
await api.updateSingleProperty({ collection: "accounts", key: id, fieldValuePair: { telephone1: "555-0100" } });
await api.deleteRecord({ collection: "accounts", key: id, property: "revenue" });
result.afterProperties = await api.retrieve({ collection: "accounts", key: id, select: ["telephone1", "revenue"] });
await api.disassociateSingleValued({ collection: "accounts", primaryKey: id, navigationProperty: "primarycontactid" });
result.disassociated = await api.retrieve({ collection: "accounts", key: id, select: ["_primarycontactid_value"] });
await api.associateSingleValued({
  collection: "accounts",
  primaryKey: id,
  navigationProperty: "primarycontactid",
  relatedCollection: "contacts",
  relatedKey: contact,
});
result.associated = await api.retrieve({ collection: "accounts", key: id, select: ["_primarycontactid_value"] });
await api.deleteRecord({ collection: "accounts", key: id });
result.missing = await failure(() => api.retrieve({ collection: "accounts", key: id }));

// A row with its related rows, and a many-to-many relationship.
const related = await api.create({
  collection: "accounts",
  data: { name: "Deep", primarycontactid: { lastname: "First" }, contact_customer_accounts: [{ lastname: "Second" }] },
});
const lead = await api.create({ collection: "leads", data: { subject: "Lead" } });
const pair = { collection: "accounts", primaryKey: related, relationshipName: "accountleads_association" };
await api.associate({ ...pair, relatedCollection: "leads", relatedKey: lead });
const leads = { collection: "accounts", key: related, expand: [{ property: "accountleads_association", select: ["subject"] }] };
result.related = await api.retrieve({
  collection: "accounts",
  key: related,
  select: ["name"],
  expand: [
    { property: "primarycontactid", select: ["lastname"] },
    { property: "contact_customer_accounts", select: ["lastname"] },
  ],
});
result.paired = await api.retrieve(leads);
await api.disassociate({ ...pair, relatedKey: lead });
result.unpaired = await api.retrieve(leads);
await api.deleteRecord({ collection: "accounts", key: related });

// Upsert by alternate key: the first creates, the second updates.
result.upserts = [];
for (const name of ["First", "Second"]) {
  const row = await api.upsert({
    collection: "accounts",
    key: "accountnumber='DWA 1'",
    data: { name },
    returnRepresentation: true,
    select: ["name", "accountnumber"],
  });
  result.upserts.push({ id: row.accountid, name: row.name, accountnumber: row.accountnumber });
}
result.byKey = await api.retrieve({ collection: "accounts", key: "accountnumber='dwa 1'", select: ["name"] });
result.refused = await api.upsert({
  collection: "accounts",
  key: result.byKey.accountid,
  data: { name: "Third" },
  ifnonematch: "*",
});
result.unchanged = await api.retrieve({ collection: "accounts", key: result.byKey.accountid, select: ["name"] });

// Twelve rows in a batch with a change set, then queries over them.
api.startBatch();
for (let number = 1; number <= 12; number++) {
  api.create({
    collection: "accounts",
    data: { name: `Row ${String(number).padStart(2, "0")}`, numberofemployees: number },
    contentId: String(number),
  });
}
api.create({ collection: "tasks", data: { subject: "Call", "regardingobjectid_account_task@odata.bind": "$1" }, contentId: "13" });
result.batch = await api.executeBatch();
api.startBatch();
api.create({ collection: "accounts", data: { name: "Undone" }, contentId: "1" });
api.create({ collection: "accounts", data: { name: "x".repeat(500) }, contentId: "2" });
result.failedBatch = await failure(() => api.executeBatch());

const rows = "startswith(name,'Row ')";
result.query = await api.retrieveMultiple({
  collection: "accounts",
  select: ["name", "numberofemployees"],
  filter: `${rows} and numberofemployees gt 3`,
  orderBy: ["numberofemployees desc"],
  top: 3,
});
result.counted = await api.retrieveMultiple({ collection: "accounts", select: ["name"], filter: rows, count: true });
result.pages = [];
let page = await api.retrieveMultiple({ collection: "accounts", select: ["name"], filter: rows, orderBy: ["name"], maxPageSize: 5 });
result.pages.push(page.value.map((row) => row.name));
while (page.oDataNextLink) {
  page = await api.retrieveMultiple({ collection: "accounts", select: ["name"], maxPageSize: 5 }, page.oDataNextLink);
  result.pages.push(page.value.map((row) => row.name));
}
// FetchXML: the client takes the paging cookie out of the annotation by itself.
const fetchXml =
  "<fetch count='5'><entity name='account'><attribute name='name'/><filter><condition attribute='name' " +
  "operator='begins-with' value='Row '/></filter><order attribute='name'/></entity></fetch>";
result.fetched = await api.fetchAll({ collection: "accounts", fetchXml, includeAnnotations: "*" });
result.fetchedPage = await api.fetch({ collection: "accounts", fetchXml, includeAnnotations: "*" });
const view = await api.create({
  collection: "savedqueries",
  data: { name: "Rows", returnedtypecode: "account", fetchxml: fetchXml },
});
result.view = await api.retrieveMultiple({ collection: "accounts", savedQuery: view });
const apply = "filter(startswith(name,'Row '))/aggregate(numberofemployees with sum as employees,$count as rows)";
result.groups = await api.retrieveMultiple({ collection: "accounts", apply });
result.undone = await api.retrieveMultiple({ collection: "accounts", select: ["name"], filter: "name eq 'Undone'" });
result.count = await api.count({ collection: "accounts", filter: rows });
result.tasks = await api.retrieveMultiple({
  collection: "tasks",
  select: ["subject"],
  expand: [{ property: "regardingobjectid_account_task", select: ["name"] }],
});

// Metadata and a function.
result.whoAmI = await api.callFunction("WhoAmI");
result.entity = await api.retrieveEntity({ key: "LogicalName='account'", select: ["LogicalName", "EntitySetName"] });
result.csdl = (await api.retrieveCsdlMetadata()).slice(0, 60);

console.log(JSON.stringify(result));
