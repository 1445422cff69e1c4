//! The self-signed certificate of the HTTPS port: made once, kept in the data folder.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What every certificate is for beside `--public-host`: this machine, and every name by which clients look for the API when nobody tells
/// them an endpoint. A star stands for one label, so the regions are named one by one.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "*.aliyuncs.com"];

/// The regions that SDKs of the product know.
const REGIONS: [&str; 37] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "cn-beijing",
    "cn-beijing-finance-1",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-heyuan",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-wuhan-lr",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "cn-zhengzhou-jva",
    "eu-central-1",
    "eu-west-1",
    "me-central-1",
    "me-east-1",
    "na-south-1",
    "us-east-1",
    "us-west-1",
];

/// A certificate ready to serve.
pub struct Certificate {
    pub path: PathBuf,
    pub config: ServerConfig,
}

/// Reads the certificate of the data folder, or makes it.
pub fn certificate(data_dir: &Path, public_host: Option<&str>) -> io::Result<Certificate> {
    let folder = data_dir.join("tls");
    let (path, key_path) = (folder.join("cert.pem"), folder.join("key.pem"));
    // One that a person put there stays, whatever is missing beside it.
    match (is_there(&path)?, is_there(&key_path)?) {
        (true, true) => {}
        (true, false) => {
            let why = format!("{} has no key.pem beside it", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        (false, has_key) => {
            std::fs::create_dir_all(&folder)?;
            make(&path, &key_path, has_key, public_host)?;
        }
    }
    let chain = chain(&path)?;
    let own = chain.first().map(AsRef::as_ref).unwrap_or_default();
    if let Some(name) = lacks(own, &names(public_host)) {
        tracing::warn!(
            path = %path.display(),
            "the certificate is not for {name}; a new one is made when it and its key are moved away"
        );
    }
    let key = PrivateKeyDer::from_pem_file(&key_path).map_err(io::Error::other)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(Certificate { path, config })
}

/// The certificate of a file and those behind it, by which clients reach one that they trust.
///
/// # Errors
/// When the file cannot be read, or holds no certificate: nothing can be served then.
fn chain(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(io::Error::other)?;
    if chain.is_empty() {
        return Err(io::Error::other(pem::Error::NoItemsFound));
    }
    Ok(chain)
}

/// Every name of the certificate.
fn names(public_host: Option<&str>) -> Vec<String> {
    let regional = REGIONS.map(|region| format!("live.{region}.aliyuncs.com"));
    let fixed = NAMES.map(str::to_owned).into_iter().chain(regional);
    fixed.chain(public_host.map(str::to_owned)).collect()
}

/// A name that a certificate is not for. Host names stand in it as they are (RFC 5280 section 4.2.1.6), addresses do not.
fn lacks<'a>(certificate: &[u8], names: &'a [String]) -> Option<&'a str> {
    let mut hosts = names
        .iter()
        .filter(|name| name.parse::<std::net::IpAddr>().is_err());
    let missing = hosts.find(|name| {
        let name = name.as_bytes();
        !certificate.windows(name.len()).any(|part| part == name)
    });
    missing.map(String::as_str)
}

/// Whether something has a name, a link that leads nowhere included.
fn is_there(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn make(path: &Path, key_path: &Path, has_key: bool, public_host: Option<&str>) -> io::Result<()> {
    let mut params = CertificateParams::new(names(public_host)).map_err(io::Error::other)?;
    // What a person sees who looks through the certificates that a machine trusts.
    params.distinguished_name.push(
        DnType::CommonName,
        "localyun (self-signed, this machine only)",
    );
    let key = if has_key {
        let pem = std::fs::read_to_string(key_path)?;
        KeyPair::from_pem(&pem).map_err(io::Error::other)?
    } else {
        KeyPair::generate().map_err(io::Error::other)?
    };
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    if !has_key {
        write_new(key_path, &key.serialize_pem())?;
    }
    write_new(path, &certificate.pem())
}

/// Nothing is written over, and nothing through a link.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_every_name_or_says_which_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let made = certificate(folder.path(), Some("machine.example.com")).unwrap();
        let der = CertificateDer::from_pem_file(&made.path).unwrap();
        assert_eq!(lacks(&der, &names(Some("machine.example.com"))), None);
        assert_eq!(lacks(&der, &names(Some("10.0.0.1"))), None);
        assert_eq!(
            lacks(&der, &names(Some("other.example.com"))),
            Some("other.example.com")
        );
        assert!(names(None).contains(&"live.ap-southeast-5.aliyuncs.com".to_owned()));
    }

    #[test]
    fn a_chain_is_served_whole_and_the_first_one_is_the_certificate() {
        let [own, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let made = certificate(own.path(), None).unwrap();
        let above = certificate(other.path(), None).unwrap();
        let pem = |made: &Certificate| std::fs::read_to_string(&made.path).unwrap();
        let both = [pem(&made), pem(&above)].concat();
        let ones = [chain(&made.path).unwrap(), chain(&above.path).unwrap()].concat();
        assert!(ones.len() == 2 && ones[0] != ones[1]);
        std::fs::write(&made.path, both).unwrap();
        assert_eq!(chain(&made.path).unwrap(), ones);
        // Its key is that of the first one.
        assert!(certificate(own.path(), None).is_ok());
        std::fs::write(&made.path, "no certificate").unwrap();
        assert!(certificate(own.path(), None).is_err());
    }
}
