//! Values on the command line that are plain words.

const DEVICES: &str = "it takes names of network devices, as in eth0 or eth0,eth1";

/// The name of a network device: what is left after spaces around it are gone.
///
/// # Errors
/// The half sentence that says what is allowed.
pub fn device(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.contains(char::is_whitespace) || name.contains('/') {
        return Err(DEVICES.to_owned());
    }
    Ok(name.to_owned())
}

/// The name of a network device, or of a capture file; which of them it is to be shows in other options.
///
/// # Errors
/// The half sentence that says what is allowed.
pub fn device_or_file(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() {
        return Err(format!("{DEVICES}; or of capture files, with --offline"));
    }
    Ok(name.to_owned())
}

/// A filter in pcap's language. Only pcap itself can say whether it is one, when the capture is opened.
///
/// # Errors
/// The half sentence that says what is allowed.
pub fn expression(text: &str) -> Result<String, String> {
    let filter = text.trim();
    if filter.is_empty() {
        return Err(
            "it takes a filter in the language of pcap-filter(7), as in 'tcp and src port 8080'".to_owned()
        );
    }
    Ok(filter.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_word() {
        assert_eq!(device(" eth0.12 "), Ok("eth0.12".to_owned()));
        for wrong in ["", " ", "eth0 eth1", "/dev/eth0"] {
            assert_eq!(
                device(wrong).unwrap_err(),
                "it takes names of network devices, as in eth0 or eth0,eth1"
            );
        }
    }

    #[test]
    fn a_filter_is_not_empty() {
        assert_eq!(expression("tcp and src port 80"), Ok("tcp and src port 80".to_owned()));
        assert_eq!(
            expression("  ").unwrap_err(),
            "it takes a filter in the language of pcap-filter(7), as in 'tcp and src port 8080'"
        );
    }
}
