//! The list of one folder: its objects, and the folders in it.

use aws_sdk_s3::types::EncodingType;

use crate::failure::Failure;
use crate::{Bucket, Object};

/// The entries of one folder, in order.
pub struct FolderList {
    /// The objects directly in it.
    pub objects: Vec<Object>,
    /// The names of its folders, each with a slash at its end.
    pub folders: Vec<String>,
}

impl Bucket {
    /// The objects directly in a folder and the names of its folders, each in order: after a name,
    /// or all, this many per request. `folder` is empty or ends with a slash, and so do the names.
    pub async fn list_folder(&self, folder: &str, after: Option<&str>, page: u16) -> Result<FolderList, Failure> {
        let (mut objects, mut folders) = (Vec::new(), Vec::new());
        let request = self.client.list_objects_v2().bucket(&self.name).encoding_type(EncodingType::Url).delimiter("/");
        let mut request = request.prefix(folder).set_start_after(after.map(str::to_owned)).max_keys(page.into());
        loop {
            let page = self.page(request).await?;
            objects.extend(page.objects);
            folders.extend(page.folders);
            let Some(next) = page.next? else { return Ok(FolderList { objects, folders }) };
            request = next;
        }
    }
}
