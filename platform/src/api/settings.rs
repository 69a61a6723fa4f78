//! `POST /v1/tags` and `POST /v1/log`: what can be changed while the agent runs.

use midge::ConfigError;
use midge::limits::TAGS_BYTES;

use super::{Api, members, refuse};
use crate::http::{ContentType, Page, Reply, Request, StatusCode, Values};
use crate::logger::find_level;
use crate::text::{cut, parts};

impl<const N: usize> Api<'_, N> {
    /// Sets one tag of this node, or removes one.
    pub(super) fn change_tags(
        &mut self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) {
        let (mut set_space, mut remove_space) = ([0; TAGS_BYTES], [0; TAGS_BYTES]);
        let set = request.argument("set", &mut set_space);
        let remove = request.argument("remove", &mut remove_space);
        let (tag, removes) = match (set, remove) {
            (Ok(Some(tag)), Ok(None)) if cut(tag, b',').is_none() => (tag, false),
            (Ok(None), Ok(Some(key))) => (key, true),
            _ => {
                let what = "one tag a time: POST /v1/tags?set=KEY=VALUE or ?remove=KEY";
                return reply.error(StatusCode::BadRequest, content, &what);
            }
        };
        if let Err(error) = self.change_tag(tag, removes) {
            let status = match error {
                ConfigError::Leaving => StatusCode::Conflict,
                _ => StatusCode::BadRequest,
            };
            return refuse(reply, content, status, ("tag", tag), &error);
        }
        let tags = self.node.status().own.tags;
        let write = |page: &mut Page<'_>, _, in_json| members::tags(page, in_json, tags);
        let templates = "tags: !a\n|{\"tags\":!a}\n";
        let values = Values { write: &write, ..Values::NONE };
        reply.answer(StatusCode::Ok, content, templates, &values);
    }

    /// The tag comes after all others; one that is not there is removed already.
    fn change_tag(&mut self, tag: &str, removes: bool) -> Result<(), ConfigError> {
        let key = if removes { tag } else { cut(tag, b'=').map_or(tag, |(key, _)| key) };
        let mut space = [0; TAGS_BYTES];
        let mut tags = Page::new(&mut space);
        let own = self.node.status().own.tags;
        for pair in parts(own, b',') {
            if !pair.is_empty() && cut(pair, b'=').is_none_or(|(of, _)| of != key) {
                append(&mut tags, pair);
            }
        }
        if !removes {
            append(&mut tags, tag);
        }
        let changed = core::str::from_utf8(tags.written()).ok().filter(|_| !tags.is_overfull());
        self.node.set_tags(self.now, changed.ok_or(ConfigError::Tags)?)
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
        let values = Values { texts: &[name], ..Values::NONE };
        let templates = "level: $a\n|{\"level\":$a}\n";
        reply.answer(StatusCode::Ok, content, templates, &values);
    }
}

fn append(tags: &mut Page<'_>, tag: &str) {
    tags.push(if tags.is_empty() { b"" } else { b"," });
    tags.push(tag.as_bytes());
}
