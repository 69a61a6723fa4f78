//! Which Unix socket the local API gets, and what is said when it gets none.

use std::io::ErrorKind;
use std::path::Path;

use crate::http::{BindError, UnixSocket, bind_unix};

/// The owner and the group may connect; who can, can stop the agent.
const MODE: u32 = 0o660;

/// The longest path that clients can connect to, bytes (unix(7)).
const PATH_BYTES: usize = 107;

/// Listens at the first of the paths where this user may.
///
/// # Errors
/// One line for the operator: an agent is there already, or no path can be used.
pub(super) fn bind(paths: &[String]) -> Result<(UnixSocket, &str), String> {
    let mut error = String::new();
    for path in paths {
        if path.len() > PATH_BYTES {
            return Err(format!(
                "{path}: longer than the {PATH_BYTES} bytes that a socket's path may have; choose another --api PATH"
            ));
        }
        let obstacle = match bind_unix(Path::new(path), MODE) {
            Ok(socket) => return Ok((socket, path)),
            Err(obstacle) => obstacle,
        };
        if error.is_empty() {
            let remedy = match obstacle {
                BindError::InUse => "stop it with `midge leave`, or give another --api PATH",
                BindError::NotASocket => "remove it, or give another --api PATH",
                _ => "say where the API socket shall be with --api PATH",
            };
            error = format!("{path}: {obstacle}; {remedy}");
        }
        if !is_forbidden(&obstacle) {
            break;
        }
    }
    Err(error)
}

/// This user may not use the path; another path may do.
fn is_forbidden(obstacle: &BindError) -> bool {
    let (BindError::Unclear(error) | BindError::Directory(error) | BindError::Socket(error)) =
        obstacle
    else {
        return false;
    };
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound
    )
}
