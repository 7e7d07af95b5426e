/**
 * Words that stand before a bracket and do no harm: keywords, types, and functions of PostgreSQL that write
 * nothing and leave nothing on their connection.
 */
export const HARMLESS_CALLS: ReadonlySet<string> = new Set(
  // Keywords
  (
    'select from where and or not in as on any all some exists between case when then else by having over filter within ' +
    'group values limit offset union intersect except distinct using is like ilike similar cast array row lateral ' +
    'materialized returning set default check references key conflict partition cube rollup sets rows ' +
    // Types
    'numeric decimal varchar char character varying bit time timestamp timestamptz interval float ' +
    // Functions
    'count sum min max avg coalesce nullif greatest least lower upper initcap length char_length octet_length concat ' +
    'concat_ws substring substr replace trim ltrim rtrim btrim lpad rpad left right reverse repeat position strpos ' +
    'split_part regexp_replace regexp_match regexp_matches regexp_split_to_array regexp_split_to_table translate ascii chr ' +
    'md5 encode decode format quote_ident quote_literal quote_nullable starts_with string_agg string_to_array ' +
    'string_to_table array_agg array_append array_cat array_length array_position array_remove array_to_string cardinality ' +
    'unnest generate_series generate_subscripts bool_and bool_or every abs ceil ceiling floor round trunc mod power sqrt exp ' +
    'ln log sign random now clock_timestamp statement_timestamp transaction_timestamp timeofday age date_part date_trunc ' +
    'date_bin extract make_date make_time make_timestamp make_interval justify_days to_char to_date to_timestamp to_number ' +
    'date isfinite json_agg jsonb_agg json_object_agg jsonb_object_agg json_build_object ' +
    'jsonb_build_object json_build_array jsonb_build_array json_array json_object json_extract_path ' +
    'json_extract_path_text jsonb_extract_path jsonb_extract_path_text json_array_length jsonb_array_length ' +
    'json_array_elements jsonb_array_elements json_array_elements_text jsonb_array_elements_text json_each jsonb_each ' +
    'json_each_text jsonb_each_text json_object_keys jsonb_object_keys jsonb_set jsonb_insert jsonb_strip_nulls jsonb_path_exists ' +
    'jsonb_path_query json_typeof jsonb_typeof to_json to_jsonb row_to_json row_number ' +
    'rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value percentile_cont ' +
    'percentile_disc mode corr stddev variance gen_random_uuid uuidv4 uuidv7 to_tsvector to_tsquery plainto_tsquery ' +
    'phraseto_tsquery websearch_to_tsquery ts_rank ts_rank_cd ts_headline setweight current_setting pg_backend_pid ' +
    'pg_current_xact_id_if_assigned pg_listening_channels pg_typeof pg_sleep txid_current_if_assigned version ' +
    'current_database current_schema current_schemas'
  ).split(' '),
)
