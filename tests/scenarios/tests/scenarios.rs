//! One test per scenario, so that the runner's summary names what failed. They take turns by themselves.

#![forbid(unsafe_code)]

use tcpcopy_scenarios::{assert_passes, assert_passes_where_prepared};

macro_rules! scenarios {
    ($($test:ident: $scenario:literal),* $(,)?) => { scenarios! { assert_passes: $($test: $scenario),* } };
    ($assert:ident: $($test:ident: $scenario:literal),* $(,)?) => {
        $(#[test] fn $test() { $assert($scenario); })*
    };
}

scenarios! {
    short_connections_arrive: "short-500",
    keepalive_connections_arrive: "keepalive-1k",
    pipelined_requests_arrive: "pipelined-10",
    requests_in_many_writes_arrive: "split-writes",
    uploads_arrive: "post-64k",
    an_upload_of_16_mib_arrives: "post-16m",
    loss_on_the_way_to_the_target_is_repaired: "loss-1-short",
    heavy_loss_both_ways_is_repaired: "both-loss-5",
    uploads_survive_loss_both_ways: "both-loss-1-post",
    responses_lost_on_the_way_back_are_no_matter: "response-loss-5",
    rough_users_are_understood: "users-rough",
    a_thousand_connections_at_once_arrive: "concurrent-1k",
    a_slower_target_gets_everything: "slow-target-200ms",
    larger_answers_of_the_target_are_waited_for: "responses-grow",
    smaller_answers_of_the_target_suffice: "responses-shrink",
    a_tiny_receive_window_is_respected: "tiny-window",
    one_source_address_serves_clashing_ports: "one-address",
    ports_used_again_at_once_are_told_apart: "port-reuse",
    a_target_that_closes_is_asked_again: "target-closes",
    a_target_that_resets_is_asked_again: "target-resets-10th",
    a_target_that_resets_everything_ends_in_verdicts: "target-resets-all",
    half_closed_connections_are_replayed: "half-close",
    reset_endings_are_replayed: "reset-endings",
    a_killed_intercept_loses_no_session: "intercept-killed",
    a_stopped_intercept_loses_nothing: "intercept-paused",
    a_stopped_tcpcopy_loses_nothing: "tcpcopy-paused",
    an_unreachable_target_is_waited_for: "target-unreachable",
    a_restarted_target_goes_on: "target-restarted",
    a_target_that_appears_late_gets_everything: "target-late",
    connections_are_joined_in_their_middle: "mid-stream",
    a_server_that_speaks_first_is_heard: "greeting",
    ipv6_works_all_the_way: "ipv6",
    nginx_serves_online_and_target: "nginx",
    many_mappings_share_one_process: "many-mappings",
    two_tcpcopies_share_one_intercept: "two-tcpcopies",
    modules_are_swapped_torn_broken_and_rolled_back_under_load: "modules",
    the_http_module_loses_nothing_and_compares: "http-module",
    the_http_module_rewrites_heads_and_nothing_else: "http-module-rewrite",
    the_http_module_outlives_resets: "http-module-reset",
    the_generic_module_costs_nothing: "generic-module",
    a_recording_is_replayed_at_its_own_pace: "offline",
    a_recording_is_replayed_ten_times_as_fast: "offline-faster",
    a_recording_is_replayed_as_fast_as_the_target_answers: "offline-top-speed",
    a_recording_is_replayed_at_a_rate: "offline-rate",
    prepared_statements_of_twenty_mysql_sessions_are_executed: "mysql",
    mysql_statements_as_text_are_executed: "mysql-sysbench-text",
    mysql_sessions_with_many_habits_are_executed: "mysql-pymysql",
    the_command_line_client_of_mysql_is_understood: "mysql-cli",
    mysql_users_with_ed25519_log_in: "mysql-ed25519",
    mysql_users_without_a_password_log_in: "mysql-no-password",
    a_pool_of_mysql_async_is_replayed: "mysql-rust",
    mysql_statements_survive_loss: "mysql-loss-1",
    mysql_sessions_are_joined_in_their_middle: "mysql-joined",
    mysql_sessions_go_on_after_the_target_dropped_them: "mysql-target-drops",
    prepared_statements_are_prepared_again: "mysql-drops-prepared",
    nothing_is_written_where_only_reading_is_allowed: "mysql-read-only",
    the_demo_passes: "demo",
}

scenarios! {
    assert_passes_where_prepared:
    caching_sha2_password_is_answered_in_full_and_fast: "mysql9-sha2",
    sha256_password_is_answered: "mysql9-sha256",
    sessions_with_many_habits_are_executed_by_mysql_9: "mysql9-pymysql",
    a_pool_of_mysql2_is_replayed: "mysql-node",
    a_pool_of_mysql2_is_replayed_with_mysql_9: "mysql9-node",
}
