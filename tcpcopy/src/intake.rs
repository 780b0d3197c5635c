//! From the flags to what is replayed: devices or files, and that the options are those of the one or the other.

use tcpcopy_cli::{Failure, device};
use tcpcopy_core::net::{capture_files, devices};
use tcpcopy_core::runtime::{CaptureChoice, IntakeChoice, RecordingChoice, Tempo};

use crate::configuration::without_repetitions;
use crate::flags::Flags;

/// What `flags` want replayed.
///
/// # Errors
/// [`Failure::WrongValue`] for what does not go together, [`Failure::Start`] for a file that is not there.
pub(crate) fn of(flags: &Flags) -> Result<IntakeChoice, Failure> {
    let wrong = |sentence: String| Err(Failure::WrongValue(sentence));
    if flags.offline {
        return files(flags).map(IntakeChoice::Files);
    }
    let recorded_only = [
        (flags.accelerate.is_some(), "-a/--accelerate"),
        (flags.rate.is_some(), "--rate"),
        (flags.top_speed, "--top-speed"),
        (flags.idle_cap.is_some(), "-I/--idle-cap"),
        (flags.laps.is_some(), "-T/--laps"),
        (flags.start.is_some(), "--start"),
        (flags.stop.is_some(), "--stop"),
    ];
    if let Some((_, option)) = recorded_only.iter().find(|(is_given, _)| *is_given) {
        return wrong(format!("{option} is for files only; give --offline, and the files with -i"));
    }
    for name in &flags.device {
        if let Err(allowed) = device(name) {
            return wrong(format!(
                "-i/--device cannot be \"{name}\": {allowed}; to replay files give --offline as well"
            ));
        }
    }
    if !flags.mirror.is_empty() && flags.device.is_empty() {
        return wrong("--mirror needs -i: the device on which the mirrored packets arrive".to_owned());
    }
    Ok(IntakeChoice::Devices(CaptureChoice {
        devices: without_repetitions(&flags.device),
        filter: flags.filter.clone(),
        tunnels: without_repetitions(&flags.mirror).iter().map(|mirror| mirror.filter().to_owned()).collect(),
        snaplen: flags.snaplen,
        buffer_bytes: flags.buffer << 20,
    }))
}

fn files(flags: &Flags) -> Result<RecordingChoice, Failure> {
    let wrong = |sentence: &str| Err(Failure::WrongValue(sentence.to_owned()));
    if flags.device.is_empty() {
        return wrong("--offline needs -i: the capture files, or - for standard input");
    }
    if !flags.mirror.is_empty() {
        return wrong("--mirror is for live captures; in files, tunnels are always looked into");
    }
    if let (start, Some(stop)) = (flags.start.unwrap_or_default(), flags.stop)
        && stop <= start
    {
        return wrong("--stop must be farther on than --start: nothing would be replayed");
    }
    let inputs = capture_files(&flags.device).map_err(|error| not_there(&flags.device, error.to_string()))?;
    let tempo = match (flags.rate, flags.top_speed) {
        (Some(rate), _) => rate.into(),
        (None, true) => Tempo::Unpaced,
        (None, false) => Tempo::Times(flags.accelerate.unwrap_or(1.0)),
    };
    Ok(RecordingChoice {
        inputs,
        filter: flags.filter.clone(),
        tempo,
        longest_idle: flags.idle_cap.map(std::time::Duration::from_millis),
        laps: flags.laps.unwrap_or(1),
        start: flags.start.unwrap_or_default(),
        stop: flags.stop,
    })
}

/// A device is no file, and whoever names one has something else in mind.
fn not_there(names: &[String], sentence: String) -> Failure {
    let known = devices().unwrap_or_default();
    match names.iter().find(|name| known.iter().any(|device| device.name == **name)) {
        Some(name) => Failure::WrongValue(format!(
            "{name} is a network device, and --offline replays files; leave --offline out, or name files with -i"
        )),
        None => Failure::Start(sentence),
    }
}
