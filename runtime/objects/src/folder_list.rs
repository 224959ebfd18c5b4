//! The list of one folder: its objects, and the folders in it.

use aws_sdk_s3::types::EncodingType;

use crate::failure::Failure;
use crate::listing::{behind, decode, decoded};
use crate::{Bucket, Object};

impl Bucket {
    /// The objects right in a folder and the names of the folders in it, each in order; behind a name, or all, by so many a request. `folder` is
    /// nothing or ends with a slash, and so do the names.
    pub async fn list_folder(&self, folder: &str, after: Option<&str>, page: u16) -> Result<(Vec<Object>, Vec<String>), Failure> {
        let (mut objects, mut folders) = (Vec::new(), Vec::new());
        let request = self.client.list_objects_v2().bucket(&self.name).encoding_type(EncodingType::Url).delimiter("/");
        let mut request = request.prefix(folder).set_start_after(after.map(str::to_owned)).max_keys(page.into());
        loop {
            let page = self.ask(|| request.clone().send()).await?;
            let next = behind(request, &page);
            let is_encoded = page.encoding_type == Some(EncodingType::Url);
            let found = page.contents.unwrap_or_default().into_iter();
            objects.extend(found.filter_map(|object| if is_encoded { decoded(object) } else { Some(object) }).filter_map(Object::listed));
            let found = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|found| found.prefix);
            folders.extend(found.filter_map(|folder| if is_encoded { decode(&folder) } else { Some(folder) }));
            let Some(next) = next? else { return Ok((objects, folders)) };
            request = next;
        }
    }
}
