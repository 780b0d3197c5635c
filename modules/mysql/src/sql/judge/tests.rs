//! Texts that pass, texts that are held back, and texts made of both.

use proptest::prelude::*;

use super::*;

#[test]
fn what_only_reads_passes() {
    for text in [
        "SELECT 1",
        "select c from sbtest1 where id=4711",
        "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 1 AND 100 ORDER BY c;",
        "SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN ? AND ?",
        "/* mysql-connector-j-8.0.33 (Revision: 7d6b) */SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client",
        "SELECT @@version_comment LIMIT 1",
        "SELECT DATABASE(), USER(), VERSION(), CONNECTION_ID()",
        "SHOW VARIABLES",
        "SHOW SESSION VARIABLES LIKE 'lower_case_table_names'",
        "SHOW FULL TABLES FROM `shop` WHERE Table_type != 'VIEW'",
        "SHOW CREATE TABLE `t`",
        "SHOW WARNINGS",
        "DESCRIBE t",
        "DESC shop.t",
        "EXPLAIN SELECT * FROM t",
        "EXPLAIN FORMAT=JSON SELECT * FROM t",
        "SET NAMES utf8mb4",
        "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'",
        "SET autocommit=1",
        "SET AUTOCOMMIT = 0",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "set session transaction read only",
        "SET @a = 5, @b := @a + 1",
        "SET sql_mode='STRICT_TRANS_TABLES,NO_ZERO_DATE', time_zone = '+00:00'",
        "SET SESSION wait_timeout = 28800",
        "SET @@SESSION.group_concat_max_len = 1000000",
        "BEGIN",
        "START TRANSACTION READ ONLY",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "COMMIT",
        "ROLLBACK TO SAVEPOINT `a`",
        "SAVEPOINT a",
        "RELEASE SAVEPOINT a",
        "USE shop",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n",
        "WITH a AS (SELECT 1), b (x, y) AS (SELECT 1, 2) SELECT * FROM a, b",
        "SELECT * FROM (SELECT 1, 2) AS d (x, y)",
        "TABLE t",
        "VALUES ROW(1, 2), ROW(3, 4)",
        "SELECT SQL_CALC_FOUND_ROWS * FROM t FORCE INDEX (PRIMARY) LIMIT 5, 10",
        "SELECT a, GROUP_CONCAT(DISTINCT b ORDER BY b SEPARATOR ',') FROM t GROUP BY a WITH ROLLUP",
        "SELECT * FROM t WHERE MATCH (a, b) AGAINST ('x' IN BOOLEAN MODE)",
        "SELECT DATE_ADD(NOW(), INTERVAL 1 DAY), CAST(a AS UNSIGNED), BINARY a, _utf8mb4'x'",
        "SELECT doc->'$.a', doc->>'$.b' FROM t WHERE a <=> NULL AND b REGEXP '^a'",
        "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t",
        "SELECT REPLACE(a, 'x', 'y'), INSERT(a, 1, 2, 'z'), LEFT(a, 3), IF(a, 1, 2) FROM t",
        "SELECT 1--1",
        "SELECT 'a'';DROP TABLE t;' FROM t",
        "SELECT `into`, `update` FROM `insert`",
        "SELECT t.update, t.into FROM t",
        "SELECT 1 -- ; DROP TABLE t",
        "SELECT 1 # ; DROP TABLE t",
        "SELECT /*+ MAX_EXECUTION_TIME(1000) */ 1",
        "SELECT * FROM t PARTITION (p0) JOIN u USING (id) STRAIGHT_JOIN v",
        "SELECT EXISTS(SELECT 1), a IN (1, 2), NOT (a OR (b)) FROM t",
        "PREPARE s FROM 'SELECT ?'; EXECUTE s USING @a; DEALLOCATE PREPARE s",
        "SELECT 1; SELECT 2;",
        "SELECT LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS()",
        "SET  @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'),  @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483",
        "SET sql_mode := REPLACE(@@session.sql_mode, 'ONLY_FULL_GROUP_BY', '')",
        "SET transaction_isolation = 'READ-COMMITTED', tx_isolation = REPEATABLE-READ",
        "SET CHARACTER SET utf8",
        "SET @a = (SELECT REPLACE(b, 'x', 'y') FROM t)",
        "SHOW PROCEDURE STATUS WHERE Db = DATABASE()",
        "SELECT a AS größe, t.größe AS 名称, @größe FROM t",
        "SELECT 17 MEMBER OF ('[23, 17]'), CONVERT(a, DATETIME(6)) FROM t",
        "",
        ";",
    ] {
        assert_eq!(judge(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn what_may_write_is_held_back() {
    for text in [
        "INSERT INTO t VALUES (1)",
        "replace into t values (1)",
        "REPLACE t VALUES (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "/* SELECT */ DELETE FROM t",
        "(DELETE FROM t)",
        "SELECT 1; DELETE FROM t",
        "SELECT 1;;-- x\nDELETE FROM t",
        "SELECT 1 -- x\n; DROP TABLE t",
        "SELECT 1 --x\n; DROP TABLE t",
        "SELECT 1 --\u{a0}; \nDROP TABLE t",
        "SELECT 1 #x\n; DROP TABLE t",
        "SELECT 1 /*! ; DROP TABLE t */",
        "/*!50000 DELETE FROM t */",
        "/*M!100100 DELETE FROM t */",
        "SELECT 1 /*!50000 INTO OUTFILE '/tmp/x' */",
        "SELECT 1 /* /* */ ; DROP TABLE t",
        "SELECT '\\'' ; DROP TABLE t; -- '",
        "SELECT \"\\\"\" ; DROP TABLE t; -- \"",
        "SELECT * INTO OUTFILE '/tmp/x' FROM t",
        "SELECT * FROM t INTO DUMPFILE '/tmp/x'",
        "SELECT a INTO @a FROM t",
        "SELECT 1 UNION SELECT 2 INTO OUTFILE '/tmp/x'",
        "SELECT * FROM (SELECT 1 INTO @a) x",
        "TABLE t INTO OUTFILE '/tmp/x'",
        "SELECT 1e5into @a",
        "SELECT 1.into @a",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t FOR/**/UPDATE",
        "SELECT * FROM t FOR SHARE SKIP LOCKED",
        "SELECT * FROM t LOCK IN SHARE MODE",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (SELECT 1) UPDATE t SET a = 1",
        "WITH x (a) AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "SELECT GET_LOCK('a', 1)",
        "SELECT get_lock ('a', 1)",
        "SELECT SLEEP(5)",
        "SELECT BENCHMARK(1000000, MD5('x'))",
        "SELECT LAST_INSERT_ID(5)",
        "SELECT NEXTVAL(s)",
        "SELECT NEXT VALUE FOR s",
        "SELECT my_function(1)",
        "SELECT shop.my_function(1)",
        "SELECT `my_function`(1)",
        "SELECT shop.`count`(1)",
        "SELECT count (1)",
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT /*+ SET_VAR(sql_log_bin=0) */ 1",
        "SET GLOBAL max_connections = 5",
        "SET @@global.max_connections = 5",
        "SET autocommit = 1, GLOBAL max_connections = 5",
        "SET PERSIST max_connections = 5",
        "SET PASSWORD = 'x'",
        "SET sql_log_bin = 0",
        "SET sql_mode = 'ANSI_QUOTES'",
        "SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
        "SET sql_mode = ANSI",
        "SET NAMES gbk",
        "SET character_set_client = sjis",
        "SET @a = my_function()",
        "SET @a = (SELECT 1 INTO OUTFILE 'x')",
        "SET STATEMENT max_statement_time=1 FOR DELETE FROM t",
        "SET DEFAULT ROLE x TO y",
        "SET NAMES utf8mb4, GLOBAL max_connections = 5",
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin, character_set_client = gbk",
        "SET CHARACTER SET utf8, sql_log_bin = 0",
        "SET NAMES DEFAULT",
        "SET character_set_client = 'utf8' + my_function()",
        "SET SESSION TRANSACTION READ ONLY, GLOBAL max_connections = 5",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET transaction_isolation = 'SERIALIZABLE'",
        "SET tx_isolation = 3",
        "SET @a = NEXT VALUE FOR s",
        "SET @a = (SELECT 1 FROM t FOR UPDATE)",
        "SET autocommit = (SELECT 1 FROM t FOR SHARE)",
        "SET sql_mode = CONCAT('ANSI_', 'QUOTES')",
        "SET sql_mode = CONCAT(@@sql_mode, @a)",
        "SET sql_mode = CONCAT(@@global.sql_mode, '')",
        "SET sql_mode = 4",
        "SET NAMES macroman",
        "SHOW TABLES WHERE (SELECT 1 FROM t LOCK IN SHARE MODE)",
        "SHOW TABLES WHERE (SELECT 1 INTO @a)",
        "SELECT /*+ QB_NAME(`*/ ' `) */ 1 INTO @a -- '",
        "SELECT 1 àinto @a",
        "SELECT * FROM t àLOCK IN SHARE MODE",
        "SELECT * FROM t àFOR SHARE",
        "SELECT t.àinto @a",
        "SELECT @aàinto @b",
        "CALL p()",
        "DO SLEEP(1)",
        "CREATE TABLE t (a INT)",
        "CREATE TEMPORARY TABLE t (a INT)",
        "DROP TABLE t",
        "TRUNCATE t",
        "LOAD DATA INFILE 'x' INTO TABLE t",
        "LOCK TABLES t READ",
        "FLUSH TABLES",
        "HANDLER t OPEN",
        "XA START 'x'",
        "KILL 5",
        "GRANT ALL ON *.* TO x",
        "OPTIMIZE TABLE t",
        "EXPLAIN ANALYZE DELETE FROM t",
        "EXPLAIN UPDATE t SET a = 1",
        "EXPLAIN SELECT my_function()",
        "ANALYZE SELECT 1",
        "BEGIN NOT ATOMIC DELETE FROM t; END",
        "START SLAVE",
        "PREPARE s FROM 'DELETE FROM t'",
        "PREPARE s FROM @a",
        "PREPARE s FROM 'PREPARE r FROM ''DELETE FROM t'''",
        "EXECUTE IMMEDIATE 'DELETE FROM t'",
        "DROP PREPARE s, t",
        "SELECT 1 PROCEDURE ANALYSE()",
        "DELIMITER //",
        "\0DELETE FROM t",
        "garbage",
        "SELECT 'unfinished",
        "SELECT 1 /* unfinished",
    ] {
        assert!(judge(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn phrases_say_why_and_nothing_of_the_text() {
    let phrase = |text: &str| judge(text.as_bytes()).unwrap_err().phrase().to_owned();
    assert_eq!(phrase("insert into secret values (1)"), "INSERT");
    assert_eq!(phrase("SELECT * FROM secret FOR UPDATE"), "SELECT … FOR UPDATE");
    assert_eq!(phrase("SELECT get_lock('secret', 1)"), "GET_LOCK()");
    assert_eq!(phrase("SELECT secret(1)"), "a function that may write");
    assert_eq!(phrase("secret"), "not understood");
    assert_eq!(judge(b"SELECT '\xff'").unwrap_err().phrase(), "not UTF-8");
    assert_eq!(phrase(&"(".repeat(100_000)), "too deep to judge");
}

/// The most that `limits.looked_at_kib` allows.
const LONGEST: usize = 1 << 20;

#[test]
fn long_chains_are_judged_on_a_small_stack() {
    let chain = |link: &str| format!("SELECT 1{}", link.repeat((LONGEST - 100) / link.len()));
    let judged = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
        for link in ["+1", " UNION SELECT 1", " AND 1", "||1", ",1", " IS NULL", "::int", "[1]", "->1", ".a"]
        {
            let _ = judge(chain(link).as_bytes());
        }
        for prefix in
            ["NOT ", "- ", "~", "SELECT ", "CASE ", "BINARY ", "INTERVAL ", "EXPLAIN ", "ARRAY[", "{a:"]
        {
            let _ = judge(format!("SELECT {} 1", prefix.repeat(30_000)).as_bytes());
        }
    });
    judged.unwrap().join().unwrap();
}

/// Statements that are allowed, by which others are made.
const ALLOWED: [&str; 6] = [
    "SELECT a , COUNT( * ) FROM t WHERE b IN ( 1 , 'x' ) GROUP BY a",
    "SELECT * FROM t AS d",
    "SET @a = 5",
    "SHOW TABLES",
    "WITH x AS ( SELECT 1 ) SELECT * FROM x",
    "BEGIN",
];

proptest! {
    #[test]
    fn nothing_breaks_it(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge(&text);
    }

    #[test]
    fn no_sql_breaks_it(text in "(SELECT|SET|WITH|EXPLAIN|PREPARE|\\() [a-z0-9 ()'\",;`@?.*/#=-]{0,120}") {
        let _ = judge(text.as_bytes());
    }

    #[test]
    fn comments_between_words_change_nothing(at in 0..6_usize, comment in "( /\\* [a-z']* \\*/ |\n|\t| -- [a-z'`]*\n| #[a-z\"]*\n)") {
        let text = ALLOWED[at].replace(' ', &comment);
        prop_assert_eq!(judge(text.as_bytes()), Ok(()), "{}", text);
    }

    #[test]
    fn a_statement_that_writes_is_found_in_any_disguise(
        at in 0..6_usize,
        gap in "( |\n|/\\*[a-z']*\\*/| -- [a-z'`]*\n|#[a-z\"]*\n|/\\*!|/\\*!50000 |/\\*M!)",
        is_before: bool,
    ) {
        let close = if gap.ends_with('!') || gap.ends_with("0 ") { "*/" } else { "" };
        let text = match is_before {
            true => format!("{gap}DROP TABLE t{close};{}", ALLOWED[at]),
            false => format!("{};{gap}DROP TABLE t{close}", ALLOWED[at]),
        };
        prop_assert!(judge(text.as_bytes()).is_err(), "{}", text);
    }
}
