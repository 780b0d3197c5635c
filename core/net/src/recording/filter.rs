//! `-F` on files: pcap compiles it for each link type that comes up.

use pcap::{BpfProgram, Capture, Linktype};

use super::RecordingError;

pub(super) struct FileFilter {
    text: Option<String>,
    /// By link type; `None` where pcap cannot compile it: no frame of that type can fit it.
    programs: Vec<(u32, Option<BpfProgram>)>,
}

impl FileFilter {
    pub(super) fn new(text: Option<&str>) -> Self {
        Self { text: text.map(str::to_owned), programs: Vec::new() }
    }

    /// Whether the filter is one, for the link type that file `name` begins with.
    pub(super) fn check(&mut self, link: Option<u32>, name: &str) -> Result<(), RecordingError> {
        let (Some(filter), Some(link)) = (&self.text, link) else { return Ok(()) };
        match compiled(filter, link) {
            Ok(program) => {
                self.programs.push((link, Some(program)));
                Ok(())
            }
            Err(error) => Err(RecordingError::BadFilter {
                name: name.to_owned(),
                filter: filter.clone(),
                reason: match error {
                    pcap::Error::PcapError(text) => text,
                    other => other.to_string(),
                },
            }),
        }
    }

    pub(super) fn passes(&mut self, link: u32, bytes: &[u8]) -> bool {
        let Some(text) = &self.text else { return true };
        let known = self.programs.iter().position(|(known, _)| *known == link);
        let index = known.unwrap_or_else(|| {
            let program = compiled(text, link);
            if let Err(error) = &program {
                log::warn!("the filter \"{text}\" fits no frame of link type {link}: {error}");
            }
            self.programs.push((link, program.ok()));
            self.programs.len() - 1
        });
        self.programs.get(index).and_then(|(_, program)| program.as_ref()).is_some_and(|it| it.filter(bytes))
    }
}

fn compiled(filter: &str, link: u32) -> Result<BpfProgram, pcap::Error> {
    // Files call bare IP 101, and libpcap on Linux has 12 for it.
    let link = if link == 101 { Linktype(12) } else { Linktype(i32::try_from(link).unwrap_or(i32::MAX)) };
    Capture::dead(link)?.compile(filter, true)
}
