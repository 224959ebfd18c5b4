// Makes a component of a core module in text and of the contract.

/// The component of a world of the contract, whose functions a core module exports.
pub fn component(module: &str, contract: &str, world: &str) -> Result<Vec<u8>, String> {
    let mut wasm = wat::parse_str(module).map_err(|error| error.to_string())?;
    let mut resolve = wit_parser::Resolve { all_features: true, ..wit_parser::Resolve::default() };
    let package = resolve.push_str("wasmill.wit", contract).map_err(|error| error.to_string())?;
    let world = resolve.select_world(&[package], Some(world)).map_err(|error| error.to_string())?;
    wit_component::embed_component_metadata(&mut wasm, &resolve, world, wit_component::StringEncoding::UTF8)
        .and_then(|()| wit_component::ComponentEncoder::default().module(&wasm)?.encode())
        .map_err(|error| format!("{error:#}"))
}
