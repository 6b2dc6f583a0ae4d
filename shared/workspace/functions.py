"""The functions, operators and types that an expression may use: reviewed one by one, and nothing else is.

A function is listed if its result depends only on its arguments, is the same in each run, and when its work grows
no faster than its arguments, or by a factor that `shared.workspace.growth` knows. A test compares these lists with
DuckDB's own catalogue and fails if a new version has functions that were not reviewed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = [
    "AGGREGATES",
    "CLOCKS",
    "FUNCTIONS",
    "LAMBDA_TAKERS",
    "LIST_AGGREGATES",
    "OPERATORS",
    "RANDOM",
    "TYPES",
    "WITHOUT_BOUND",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPERATORS_AS_FUNCTIONS = "+ - * / // % ** ^ || << >> & | ~ @ ->> ~~ !~~ ~~* !~~* ~~~ ^@ @> <@ && !__postfix"
_TEXT = """
    ascii base64 bin bit_length char_length character_length chr concat concat_ws contains decode encode ends_with
    format format_bytes formatreadabledecimalsize formatreadablesize from_base64 from_binary from_hex hamming hex
    ilike_escape instr jaccard lcase left left_grapheme length length_grapheme like_escape lower lpad ltrim md5
    md5_number md5_number_lower md5_number_upper mismatches nfc_normalize not_ilike_escape not_like_escape octet_length
    ord overlay parse_dirname parse_dirpath parse_filename parse_formatted_bytes position prefix printf regexp_escape
    regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array repeat
    replace reverse right right_grapheme rpad rtrim sha1 sha256 split split_part starts_with str_split str_split_regex
    string_split string_split_regex string_to_array strip_accents strlen strpos substr substring substring_grapheme
    suffix to_base to_base64 to_binary to_hex translate trim ucase unbin unhex unicode upper url_decode url_encode
    uuid_extract_timestamp uuid_extract_version
"""
_NUMBERS = """
    abs acos acosh add asin asinh atan atan2 atanh bit_count bit_position cbrt ceil ceiling cos cosh cot degrees divide
    even exp factorial fdiv floor fmod gamma gcd get_bit greatest_common_divisor isfinite isinf isnan lcm
    least_common_multiple lgamma ln log log10 log2 mod multiply nextafter pi pow power radians round round_even
    roundbankers set_bit sign signbit sin sinh sqrt subtract tan tanh trunc xor
"""
_TIMES = """
    age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear julian
    last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz microsecond
    millennium millisecond minute month monthname nanosecond quarter second strftime strptime time_bucket timezone
    timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds
    to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years try_strptime week weekday weekofyear year
    yearweek
"""
_LISTS = """
    aggregate array_aggr array_aggregate array_append array_cat array_concat array_contains array_distinct array_extract
    array_has array_has_all array_has_any array_indexof array_intersect array_length array_pop_back array_pop_front
    array_position array_prepend array_push_back array_push_front array_resize array_reverse array_reverse_sort
    array_select array_slice array_sort array_to_string array_unique array_where array_zip cardinality element_at
    flatten generate_series len list_aggr list_aggregate list_any_value list_append list_avg list_bit_and list_bit_or
    list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance
    list_cosine_similarity list_count list_distance list_distinct list_dot_product list_element list_extract list_first
    list_grade_up list_has list_has_all list_has_any list_indexof list_inner_product list_intersect list_last list_max
    list_median list_min list_mode list_pack list_position list_prepend list_product list_resize list_reverse
    list_reverse_sort list_select list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum
    list_unique list_value list_var_pop list_var_samp list_where list_zip map map_concat map_contains
    map_contains_entry map_contains_value map_entries map_extract map_extract_value map_from_entries map_keys map_values
    range row struct_concat struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert
    struct_keys struct_pack struct_position struct_update struct_values
"""
_JSON = """
    array_to_json json json_array json_array_length json_contains json_deep_merge json_exists json_extract
    json_extract_path json_extract_path_text json_extract_string json_insert json_keys json_merge_patch json_normalize
    json_object json_pretty json_quote json_remove json_replace json_set json_strip_nulls json_type json_valid
    json_value row_to_json to_json
"""
_OTHER = "greatest if least nullif typeof"

LAMBDA_TAKERS: Final = _words(
    "apply array_apply array_filter array_transform filter list_apply list_filter list_transform"
)
"""Those that take a lambda as their second argument."""

FUNCTIONS: Final = LAMBDA_TAKERS.union(
    *map(_words, (_OPERATORS_AS_FUNCTIONS, _TEXT, _NUMBERS, _TIMES, _LISTS, _JSON, _OTHER))
)
"""Everything that may be called, in lower case."""

LIST_AGGREGATES: Final = frozenset({"aggregate", "array_aggr", "array_aggregate", "list_aggr", "list_aggregate"})
"""Those whose second argument names an aggregate function as text."""

AGGREGATES: Final = _words(
    "any_value avg bit_and bit_or bit_xor bool_and bool_or count first last max mean median min mode product "
    "stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance"
)
"""What `LIST_AGGREGATES` may name: each gives the same for the same list, unlike samples and estimates."""

CLOCKS: Final = _words(
    "ago current_date current_localtime current_localtimestamp current_time current_timestamp get_current_time "
    "get_current_timestamp localtime localtimestamp now pg_conf_load_time pg_postmaster_start_time today "
    "transaction_timestamp"
)
"""Refused with a hint: another value at every run, so that a saved plan would not be what is applied."""

RANDOM: Final = _words("gen_random_uuid random setseed uuid uuidv4 uuidv7")
"""Refused with a hint: another value at every call."""

WITHOUT_BOUND: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("levenshtein", "damerau_levenshtein", "editdist3", "jaro_similarity", "jaro_winkler_similarity"),
        "its work grows with the product of both lengths; hamming() and jaccard() are allowed",
    ),
    **dict.fromkeys(
        ("list_reduce", "array_reduce", "reduce"),
        "its result can double with every element; list_sum(), list_max() and array_to_string() are allowed",
    ),
    "bar": "its result is as long as its arguments say; lpad() and repeat() are allowed",
    "bitstring": "its result is as long as its arguments say; lpad() and repeat() are allowed",
    "equi_width_bins": "its result is as long as its arguments say; range() is allowed",
}
"""Refused with a hint: a small text could keep a run busy for days or fill its memory."""

OPERATORS: Final[Mapping[str, frozenset[str]]] = {
    "BETWEEN": frozenset({"COMPARE_BETWEEN"}),
    "CASE": frozenset({"CASE_EXPR"}),
    "CAST": frozenset({"OPERATOR_CAST"}),
    "COLLATE": frozenset({"COLLATE"}),
    "COLUMN_REF": frozenset({"COLUMN_REF"}),
    "COMPARISON": _words(
        "COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN COMPARE_LESSTHANOREQUALTO "
        "COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM"
    ),
    "CONJUNCTION": frozenset({"CONJUNCTION_AND", "CONJUNCTION_OR"}),
    "CONSTANT": frozenset({"VALUE_CONSTANT"}),
    "FUNCTION": frozenset({"FUNCTION"}),
    "LAMBDA": frozenset({"LAMBDA"}),
    "OPERATOR": _words(
        "ARRAY_CONSTRUCTOR ARRAY_EXTRACT ARRAY_SLICE COMPARE_IN COMPARE_NOT_IN OPERATOR_COALESCE OPERATOR_IS_NOT_NULL "
        "OPERATOR_IS_NULL OPERATOR_NOT OPERATOR_TRY STRUCT_EXTRACT"
    ),
    "TYPE": frozenset({"TYPE"}),
}
"""The allowed types of each class of node, with the names of DuckDB's parser."""

# No fixed-size arrays (each row would take the whole size), no variants, geometries or user-defined types.
TYPES: Final = _words(
    """
    bigint binary bit bitstring blob bool boolean bpchar bytea char date datetime dec decimal double enum float
    float4 float8 guid hugeint int int1 int128 int16 int2 int32 int4 int64 int8 integer integral interval json list
    long map numeric nvarchar real row short signed smallint string struct text time timestamp timestamp_ms
    timestamp_ns timestamp_s timestamp_us timestamptz tinyint ubigint uhugeint uint128 uint16 uint32 uint64 uint8
    uinteger usmallint utinyint uuid varbinary varchar
    """
) | {"timestamp with time zone", "time with time zone", "timetz"}
"""Types that a cast may name, in lower case."""
