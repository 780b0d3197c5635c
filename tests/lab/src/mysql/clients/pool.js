// Node.js with mysql2: a pool whose connections go from hand to hand, prepared statements, several statements at once,
// transactions, changes of the user, resets.
//
// Called as pool.js HOST PORT USER PASSWORD DATABASE SESSIONS SECONDS.
'use strict';

const assert = require('node:assert');
const { setTimeout: sleep } = require('node:timers/promises');
const mysql = require('mysql2/promise');

const [host, port, user, password, database, sessions, seconds] = process.argv.slice(2);
const end = Date.now() + Number(seconds) * 1000;
const options = { host, port: Number(port), user, password, database };
const pool = mysql.createPool({
  ...options,
  connectionLimit: Number(sessions),
  multipleStatements: true,
  // Fewer than there are statements: some are closed to make room.
  maxPreparedStatements: 4,
});

async function prepared(tag) {
  for (let number = 0; number < 5; number++) {
    const [rows] = await pool.execute('select ? as tag, ? as number', [tag, number]);
    assert.strictEqual(rows[0].tag, tag);
    await pool.execute('insert into notes (note, number) values (?, ?)', [`${tag}\nin two lines`, number]);
  }
  await pool.execute('select ?, ?, ?, ?, ?', [null, Buffer.from([0, 255, 39]), 0.5, new Date(0), true]);
  await assert.rejects(pool.execute('select ? from no_such_table', [tag]));
}

async function longText(tag) {
  const long = tag + 'y'.repeat(300000);
  const [lengths] = await pool.execute('select length(?) as length', [long]);
  assert.strictEqual(Number(lengths[0].length), long.length);
}

async function severalAtOnce(tag) {
  const text = `select '${tag} one' as one; insert into notes (note, number) values (?, 3); select '${tag} two' as two`;
  const [[one, , two]] = await pool.query(text, [tag]);
  assert.deepStrictEqual([one[0].one, two[0].two], [`${tag} one`, `${tag} two`]);
}

async function transaction(connection, tag, commits) {
  await connection.beginTransaction();
  await connection.execute('insert into notes (note, number) values (?, 1)', [tag]);
  await connection.query('update notes set number = number + 1 where id = last_insert_id() and note = ?', [tag]);
  await (commits ? connection.commit() : connection.rollback());
}

async function itsOwnStatement(connection, tag) {
  const text = 'select count(*) as count from notes where note = ? and number > ?';
  const statement = await connection.prepare(text);
  for (let number = 0; number < 3; number++) await statement.execute([tag, number]);
  connection.unprepare(text);
}

// On a connection of its own: the driver would go on using statements that a change of the user has closed.
async function anotherUser(tag) {
  const connection = await mysql.createConnection(options);
  await connection.execute('select ? as first', [tag]);
  await connection.changeUser({ user: 'guest', password, database });
  await connection.query(`select current_user(), '${tag}'`);
  await connection.execute('select ? as guest', [tag]);
  await connection.reset();
  await connection.execute('select ? as reset', [tag]);
  await connection.changeUser({ user, password, database });
  await connection.execute('select ? as last', [tag]);
  await connection.end();
}

async function turns(task) {
  for (let turn = 0; Date.now() < end; turn++) {
    const tag = `pool ${task}-${turn}`;
    await prepared(tag);
    if (turn % 4 === 0) await longText(tag);
    await severalAtOnce(tag);
    const connection = await pool.getConnection();
    await transaction(connection, tag, turn % 2 === 0);
    await itsOwnStatement(connection, tag);
    await connection.ping();
    connection.release();
    if (turn % 3 === 1) await anotherUser(tag);
    await sleep(100);
  }
}

async function main() {
  // More hands than connections.
  await Promise.all(Array.from({ length: 2 * Number(sessions) }, (_, task) => turns(task)));
  await pool.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
