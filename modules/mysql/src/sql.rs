// stand-in until the room is merged
pub(crate) enum HeldBack {
    X(String),
}
impl HeldBack {
    pub(crate) fn phrase(&self) -> &str {
        let Self::X(x) = self;
        x
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    UseDatabase(String),
    Set { key: String, statement: String },
    PrepareText { name: String, statement: String },
    DeallocateText { name: String },
    BeginTransaction,
    EndTransaction,
    CreateTemporaryTable,
    LockTables,
    UnlockTables,
    NamedLock,
    Kill,
}
pub(crate) fn digest(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned()
}
pub(crate) fn judge(text: &[u8]) -> Result<(), HeldBack> {
    if text.starts_with(b"SELECT") { Ok(()) } else { Err(HeldBack::X("not understood".into())) }
}
pub(crate) fn effects(text: &[u8]) -> Vec<Effect> {
    let text = String::from_utf8_lossy(text).into_owned();
    if let Some(name) = text.strip_prefix("USE ") {
        return vec![Effect::UseDatabase(name.trim_matches('`').to_owned())];
    }
    if let Some(rest) = text.strip_prefix("SET ") {
        return vec![Effect::Set {
            key: rest.split(['=', ' ']).next().unwrap_or_default().to_owned(),
            statement: text.clone(),
        }];
    }
    Vec::new()
}
