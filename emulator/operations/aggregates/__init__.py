"""Groups of rows: the columns of aggregate queries in OData and in FetchXML, and the answer to `$apply`."""
