//! The list of one folder: its objects, and the folders in it.

use aws_sdk_s3::types::EncodingType;

use crate::failure::Failure;
use crate::{Bucket, Object};

impl Bucket {
    /// The objects right in a folder and the names of the folders in it, each in order; behind a name, or all, by so many a request. `folder` is
    /// nothing or ends with a slash, and so do the names.
    pub async fn list_folder(&self, folder: &str, after: Option<&str>, page: u16) -> Result<(Vec<Object>, Vec<String>), Failure> {
        let (mut objects, mut folders) = (Vec::new(), Vec::new());
        let request = self.client.list_objects_v2().bucket(&self.name).encoding_type(EncodingType::Url).delimiter("/");
        let mut request = request.prefix(folder).set_start_after(after.map(str::to_owned)).max_keys(page.into());
        loop {
            let page = self.page(request).await?;
            objects.extend(page.objects);
            folders.extend(page.folders);
            let Some(next) = page.next? else { return Ok((objects, folders)) };
            request = next;
        }
    }
}
