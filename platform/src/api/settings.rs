//! `POST /v1/tags` and `POST /v1/log`: what can be changed while the agent runs.

use heapless::String;
use midge::ConfigError;
use midge::limits::TAGS_BYTES;

use super::{Api, members, put, shown};
use crate::http::json::Object;
use crate::http::{ContentType, Reply, Request, StatusCode};
use crate::logger::find_level;
use crate::text::{cut, parts};

/// The tags are too long or malformed.
struct Unfit;

impl<const N: usize> Api<'_, N> {
    /// Sets one tag of this node, or removes one.
    pub(super) fn change_tags(
        &mut self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) {
        let mut refuse = |status, what: &dyn core::fmt::Display| reply.error(status, content, what);
        let (mut set_space, mut remove_space) = ([0; TAGS_BYTES], [0; TAGS_BYTES]);
        let set = request.argument("set", &mut set_space);
        let remove = request.argument("remove", &mut remove_space);
        let (key, tag) = match (set, remove) {
            (Ok(Some(tag)), Ok(None)) if cut(tag, b',').is_none() => {
                (cut(tag, b'=').map_or(tag, |(key, _)| key), Some(tag))
            }
            (Ok(None), Ok(Some(key))) => (key, None),
            _ => {
                let what = "one tag a time: POST /v1/tags?set=KEY=VALUE or ?remove=KEY";
                return refuse(StatusCode::BadRequest, &what);
            }
        };
        let before = self.node.status().own.tags;
        let has_key = |pair: &str| cut(pair, b'=').is_some_and(|(of, _)| of == key);
        if tag.is_none() && !parts(before, b',').any(has_key) {
            return refuse(StatusCode::NotFound, &format_args!("there is no tag '{}'", shown(key)));
        }
        let kept = parts(before, b',').filter(|pair| !pair.is_empty() && !has_key(pair));
        let changed = join(kept.chain(tag));
        let result = changed.map_err(|Unfit| ConfigError::Tags);
        if let Err(error) = result.and_then(|tags| self.node.set_tags(self.now, &tags)) {
            let status = match error {
                ConfigError::Leaving => StatusCode::Conflict,
                _ => StatusCode::BadRequest,
            };
            return refuse(status, &format_args!("tag '{}': {error}", shown(tag.unwrap_or(key))));
        }
        let page = reply.begin(StatusCode::Ok, content);
        let tags = self.node.status().own.tags;
        if content == ContentType::Text {
            return put(page, &format_args!("tags: {tags}\n"));
        }
        let mut object = Object::open(page);
        members::tags(object.key("tags"), tags);
        object.close();
        page.push(b"\n");
    }

    /// Chooses which lines go to the log.
    pub(super) fn change_log(
        &self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) {
        let mut space = [0; 8];
        let given = request.argument("level", &mut space).unwrap_or_default();
        let Some((name, level)) = given.and_then(find_level) else {
            let what = "level is one of error, warn, info, debug, trace";
            return reply.error(StatusCode::BadRequest, content, &what);
        };
        log::set_max_level(level);
        let page = reply.begin(StatusCode::Ok, content);
        if content == ContentType::Text {
            return put(page, &format_args!("log level: {name}\n"));
        }
        let mut object = Object::open(page);
        object.text("level", name);
        object.close();
        page.push(b"\n");
    }
}

/// Tags with commas between them.
fn join<'a>(tags: impl Iterator<Item = &'a str>) -> Result<String<TAGS_BYTES>, Unfit> {
    let mut all = String::new();
    for tag in tags {
        let comma = if all.is_empty() { "" } else { "," };
        all.push_str(comma).and_then(|()| all.push_str(tag)).map_err(|_| Unfit)?;
    }
    Ok(all)
}
