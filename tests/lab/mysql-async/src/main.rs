//! A client of MySQL made with `mysql_async`: a pool of connections, prepared statements, transactions. No part of any
//! account: what it says is read from the servers' general logs.
//!
//! Called as `mysql-async-client HOST PORT USER PASSWORD DATABASE SESSIONS SECONDS`, like every client of the lab.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "the lab lives in real time")]

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, IsolationLevel, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, TxOpts, params};
use tokio::runtime;

/// More of them than connections, so that connections go from hand to hand.
const TASKS_FOR_EACH_SESSION: usize = 2;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, user, password, database, sessions, seconds] = arguments.as_slice() else {
        anyhow::bail!("call this as mysql-async-client HOST PORT USER PASSWORD DATABASE SESSIONS SECONDS");
    };
    let sessions: usize = sessions.parse().context("SESSIONS is no number")?;
    let seconds = seconds.parse().context("SECONDS is no number")?;
    let constraints = PoolConstraints::new(1, sessions).context("SESSIONS is 0")?;
    let options = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port.parse().context("PORT is no number")?)
        .user(Some(user))
        .pass(Some(password).filter(|password| !password.is_empty()))
        .db_name(Some(database))
        .prefer_socket(false)
        // Fewer than there are statements: some are closed to make room.
        .stmt_cache_size(4)
        .pool_opts(PoolOpts::default().with_constraints(constraints));
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work(options.into(), sessions, Duration::from_secs(seconds)))
}

async fn work(options: Opts, sessions: usize, duration: Duration) -> Result<()> {
    let pool = Pool::new(options);
    let end = Instant::now() + duration;
    let tasks: Vec<_> = (0..sessions * TASKS_FOR_EACH_SESSION)
        .map(|number| tokio::spawn(turns(pool.clone(), number, end)))
        .collect();
    for task in tasks {
        task.await??;
    }
    pool.disconnect().await?;
    Ok(())
}

/// Turns with whatever connection the pool has, until the time is over.
async fn turns(pool: Pool, task: usize, end: Instant) -> Result<()> {
    for turn in 0.. {
        if Instant::now() >= end {
            break;
        }
        let tag = format!("async {task}-{turn}");
        let mut connection = pool.get_conn().await?;
        prepared(&mut connection, &tag).await?;
        several_at_once(&mut connection, &tag).await?;
        transactions(&mut connection, &tag, turn).await?;
        odd_ones(&mut connection, &tag).await?;
        if turn % 4 == 0 {
            long_text(&mut connection, &tag).await?;
        }
        // Given back, the connection is reset.
        drop(connection);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn prepared(connection: &mut Conn, tag: &str) -> Result<()> {
    for number in 0_i64..5 {
        let given: Option<(String, i64)> = connection
            .exec_first("select :tag, :number", params! { "tag" => tag, "number" => number })
            .await?;
        ensure!(given == Some((tag.to_owned(), number)), "{given:?} came back for {tag} and {number}");
    }
    let rows = (0..4).map(|number| (format!("{tag} batch\nin two lines"), number));
    connection.exec_batch("insert into notes (note, number) values (?, ?)", rows).await?;
    let statement = connection.prep("select count(*) from notes where note = ? and number > ?").await?;
    for number in 0..3 {
        let _: Option<u64> = connection.exec_first(&statement, (tag, number)).await?;
    }
    connection.close(statement).await?;
    Ok(())
}

async fn several_at_once(connection: &mut Conn, tag: &str) -> Result<()> {
    let text = format!(
        "select '{tag} one'; insert into notes (note, number) values ('{tag}', 3); select '{tag} two'"
    );
    let mut results = connection.query_iter(text).await?;
    let one: Vec<String> = results.collect().await?;
    let nothing: Vec<String> = results.collect().await?;
    let two: Vec<String> = results.collect().await?;
    ensure!(
        (one.len(), nothing.len(), two.len()) == (1, 0, 1),
        "several statements gave {one:?}, {nothing:?}, {two:?}"
    );
    results.drop_result().await?;
    Ok(())
}

async fn transactions(connection: &mut Conn, tag: &str, turn: u64) -> Result<()> {
    let mut options = TxOpts::default();
    options.with_isolation_level(IsolationLevel::ReadCommitted);
    let mut transaction = connection.start_transaction(options).await?;
    transaction.exec_drop("insert into notes (note, number) values (?, ?)", (tag, turn)).await?;
    let text = format!("update notes set number = number + 1 where id = last_insert_id() and note = '{tag}'");
    transaction.query_drop(text).await?;
    match turn % 3 {
        0 => transaction.commit().await?,
        1 => transaction.rollback().await?,
        // Left open: the next word on this connection rolls it back.
        _ => drop(transaction),
    }
    Ok(())
}

async fn long_text(connection: &mut Conn, tag: &str) -> Result<()> {
    let long = format!("{tag} {}", "y".repeat(300_000));
    let length: Option<u64> = connection.exec_first("select length(?)", (&long,)).await?;
    ensure!(length == Some(long.len() as u64), "{length:?} is the length of {} bytes", long.len());
    Ok(())
}

async fn odd_ones(connection: &mut Conn, tag: &str) -> Result<()> {
    let (nothing, bytes, half) = (None::<u8>, b"\x00\xff'".as_slice(), 0.5);
    connection.exec_drop("select ?, ?, ?", (nothing, bytes, half)).await?;
    let refused = connection.exec_drop(format!("select '{tag}', ? from no_such_table"), (1,)).await;
    ensure!(refused.is_err(), "a table that is not there was read");
    connection.ping().await?;
    Ok(())
}
