"""FetchXML: queries as XML in the option `fetchXml`, and their pages."""
