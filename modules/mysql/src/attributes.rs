//! Query attributes (MySQL 8.0.23): values that programs send along with statements and executions. A target that does not
//! know them gets the same command without.

use crate::packet::{Fields, write_length};

/// A payload of COM_QUERY up to where its text begins.
const COMMAND: usize = 1;
/// A payload of COM_STMT_EXECUTE up to its flags, and from there to its parameters.
const TO_FLAGS: usize = 5;
const TO_PARAMETERS: usize = 10;
/// The flag of an execution that says how many parameters it has.
const HAS_COUNT: u8 = 0x08;

/// Where the text begins in a payload of COM_QUERY that carries attributes, if all of them are there.
pub(crate) fn text_begins_at(payload: &[u8]) -> Option<usize> {
    let mut fields = Fields(payload.get(COMMAND..)?);
    let count = usize::try_from(fields.length_encoded()?).ok()?;
    fields.length_encoded()?; // sets of them: always one
    if count > 0 {
        let nulls = fields.bytes(count.div_ceil(8))?;
        let mut types = Vec::new();
        if fields.byte()? == 1 {
            for _ in 0..count {
                types.push(fields.u16()?);
                fields.length_encoded_bytes()?; // its name
            }
        }
        for (index, kind) in types.into_iter().enumerate() {
            if nulls[index / 8] >> (index % 8) & 1 == 0 {
                pass_value(kind, &mut fields)?;
            }
        }
    }
    Some(payload.len() - fields.0.len())
}

/// Whether a payload of COM_QUERY seems to carry attributes: no text has a byte of value one at its second place.
pub(crate) fn seem_to_be_there(payload: &[u8]) -> bool {
    payload.get(2) == Some(&1)
}

/// Whether a payload of COM_STMT_EXECUTE for a statement with so many parameters seems to be in the form that carries
/// attributes. The first execution of a statement says types, and only in one of the forms do its values end where it does.
pub(crate) fn execution_seems_to_carry_them(payload: &[u8], parameters: u16) -> bool {
    let has_count = payload.get(TO_FLAGS).is_some_and(|flags| flags & HAS_COUNT != 0);
    let ends_with_values = |carries_attributes| {
        let execution = Execution::read(payload, parameters, carries_attributes);
        execution.is_some_and(|execution| execution.ends_with_values(payload))
    };
    has_count || (ends_with_values(true) && !ends_with_values(false))
}

/// Of the type of a parameter: it is unsigned.
const UNSIGNED: u16 = 0x8000;

/// A value in the binary form is passed over, as a server does it: all but six types say how long they are.
fn pass_value(kind: u16, fields: &mut Fields<'_>) -> Option<()> {
    let length = match kind & !UNSIGNED {
        0x01 => 1,
        0x02 => 2,
        0x03 | 0x04 => 4,
        0x05 | 0x08 => 8,
        _ => return fields.length_encoded_bytes().map(drop),
    };
    fields.bytes(length).map(drop)
}

/// The parameters' part of an execution that is known to be there, and what surrounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Execution<'a> {
    /// Bytes of the payload up to the values.
    pub(crate) length: usize,
    nulls: &'a [u8],
    /// The types, if it says them: pairs of bytes, each with its name where attributes are carried.
    types: Option<&'a [u8]>,
    has_names: bool,
}

impl<'a> Execution<'a> {
    /// Reads a payload of COM_STMT_EXECUTE for a statement with so many parameters; `None` when it is not all there.
    /// `carries_attributes`: it is in the longer form.
    pub(crate) fn read(payload: &'a [u8], parameters: u16, carries_attributes: bool) -> Option<Self> {
        let flags = *payload.get(TO_FLAGS)?;
        let mut fields = Fields(payload.get(TO_PARAMETERS..)?);
        let mut count = usize::from(parameters);
        if carries_attributes && (count > 0 || flags & HAS_COUNT != 0) {
            count = usize::try_from(fields.length_encoded()?).ok()?;
        }
        if count == 0 {
            let length = payload.len() - fields.0.len();
            return Some(Self { length, nulls: &[], types: None, has_names: carries_attributes });
        }
        let nulls = fields.bytes(count.div_ceil(8))?;
        let says_types = fields.byte()? == 1;
        let before = fields.0;
        if says_types {
            for _ in 0..count {
                fields.u16()?;
                if carries_attributes {
                    fields.length_encoded_bytes()?;
                }
            }
        }
        let length = payload.len() - fields.0.len();
        let types = says_types.then(|| &before[..before.len() - fields.0.len()]);
        Some(Self { length, nulls, types, has_names: carries_attributes })
    }

    /// Whether the values are as long as the types say.
    fn ends_with_values(&self, payload: &[u8]) -> bool {
        let (Some(types), Some(values)) = (self.types, payload.get(self.length..)) else { return false };
        let (mut types, mut values) = (Fields(types), Fields(values));
        let mut index = 0;
        while let Some(kind) = types.u16() {
            if self.has_names && types.length_encoded_bytes().is_none() {
                return false;
            }
            let is_null = self.nulls.get(index / 8).is_some_and(|nulls| nulls >> (index % 8) & 1 == 1);
            if !is_null && pass_value(kind, &mut values).is_none() {
                return false;
            }
            index += 1;
        }
        values.is_empty()
    }

    /// The types of the statement's parameters, two bytes each, if it says them.
    pub(crate) fn types(&self, parameters: u16) -> Option<Vec<u8>> {
        let mut fields = Fields(self.types?);
        let mut types = Vec::new();
        for _ in 0..parameters {
            types.extend_from_slice(fields.bytes(2)?);
            if self.has_names {
                fields.length_encoded_bytes()?;
            }
        }
        Some(types)
    }

    /// The payload up to the values, as the target gets it: with these types, or none; in the longer form if it
    /// `carries_attributes`.
    pub(crate) fn write(
        &self,
        payload: &[u8],
        parameters: u16,
        types: Option<&[u8]>,
        carries_attributes: bool,
    ) -> Vec<u8> {
        let mut written = payload[..TO_PARAMETERS.min(payload.len())].to_vec();
        if !carries_attributes && let Some(flags) = written.get_mut(TO_FLAGS) {
            *flags &= !HAS_COUNT;
        }
        let has_count = written.get(TO_FLAGS).is_some_and(|flags| flags & HAS_COUNT != 0);
        if carries_attributes && (parameters > 0 || has_count) {
            write_length(parameters.into(), &mut written);
        }
        if parameters == 0 {
            return written;
        }
        let nulls = usize::from(parameters).div_ceil(8);
        written.extend_from_slice(self.nulls.get(..nulls).unwrap_or(self.nulls));
        match types {
            Some(types) => {
                written.push(1);
                for kind in types.chunks(2) {
                    written.extend_from_slice(kind);
                    if carries_attributes {
                        written.push(0); // no name
                    }
                }
            }
            None => written.push(0),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_found_behind_the_attributes() {
        assert_eq!(text_begins_at(b"\x03\0\x01SELECT 1"), Some(3));
        let two = b"\x03\x02\x01\x02\x01\xfd\0\x05trace\xfd\0\x04none\x03abcSELECT 1";
        assert_eq!(&two[text_begins_at(two).unwrap()..], b"SELECT 1");
        assert!(seem_to_be_there(two) && !seem_to_be_there(b"\x03SELECT 1"));
        assert_eq!(text_begins_at(b"\x03\x02\x01\x02\x01\xfd\0"), None);
    }

    #[test]
    fn an_execution_is_said_without_attributes() {
        // One parameter, and one attribute behind it.
        let payload = b"\x17\x01\0\0\0\x08\x01\0\0\0\x02\x02\x01\x08\0\0\xfd\0\x05trace\x2a\0\0\0\0\0\0\0";
        let execution = Execution::read(payload, 1, true).unwrap();
        let types = execution.types(1).unwrap();
        assert_eq!(types, b"\x08\0");
        let written = execution.write(payload, 1, Some(&types), false);
        assert_eq!(written, b"\x17\x01\0\0\0\0\x01\0\0\0\x02\x01\x08\0");
        assert_eq!(&payload[execution.length..], b"\x2a\0\0\0\0\0\0\0");
    }

    #[test]
    fn an_execution_is_said_with_a_place_for_attributes() {
        let payload = b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x08\0\x2a\0\0\0\0\0\0\0";
        let execution = Execution::read(payload, 1, false).unwrap();
        let written = execution.write(payload, 1, execution.types(1).as_deref(), true);
        assert_eq!(written, b"\x17\x01\0\0\0\0\x01\0\0\0\x01\0\x01\x08\0\0");
    }

    #[test]
    fn the_form_of_an_execution_is_seen() {
        let head = b"\x17\x01\0\0\0\0\x01\0\0\0";
        for (parameters, rest, carries) in [
            (1, &b"\0\x01\x08\0\x2a\0\0\0\0\0\0\0"[..], false),
            (1, b"\x01\0\x01\x08\0\0\x2a\0\0\0\0\0\0\0", true),
            // Nothing but NULL.
            (1, b"\x01\x01\x06\0", false),
            (1, b"\x01\x01\x01\x06\0\0", true),
            (2, b"\x02\x01\xfd\0\x06\0\x01a", false),
            (2, b"\x02\x02\x01\xfd\0\0\x06\0\0\x01a", true),
            (0, b"", false),
        ] {
            let payload = [&head[..], rest].concat();
            assert_eq!(
                execution_seems_to_carry_them(&payload, parameters),
                carries,
                "{}",
                rest.escape_ascii()
            );
        }
    }

    #[test]
    fn types_can_be_said_that_the_user_did_not_say() {
        let payload = b"\x17\x01\0\0\0\0\x01\0\0\0\0\0\x07";
        let execution = Execution::read(payload, 1, false).unwrap();
        assert_eq!(execution.types(1), None);
        assert_eq!(
            execution.write(payload, 1, Some(b"\x01\0"), false),
            b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x01\0"
        );
        assert_eq!(&payload[execution.length..], b"\x07");
    }

    #[test]
    fn a_statement_without_parameters_has_nothing_to_edit() {
        let payload = b"\x17\x01\0\0\0\0\x01\0\0\0";
        let execution = Execution::read(payload, 0, false).unwrap();
        assert_eq!((execution.length, execution.write(payload, 0, None, false)), (10, payload.to_vec()));
        assert_eq!(Execution::read(&payload[..8], 0, false), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(payload in proptest::collection::vec(any::<u8>(), 0..80), parameters in 0..20_u16, longer: bool) {
            text_begins_at(&payload);
            execution_seems_to_carry_them(&payload, parameters);
            if let Some(execution) = Execution::read(&payload, parameters, longer) {
                let types = execution.types(parameters);
                execution.write(&payload, parameters, types.as_deref(), false);
            }
        }
    }
}
