import ROOTFile
import Support

extension SourceSchema {
    /// The built-in schema that fits the first of the inputs that can be read.
    /// - Throws: What is wrong with the first input, if none can be read.
    public static func fitting(first inputs: [String]) throws -> SourceSchema {
        var failure: (any Error)?
        for input in inputs {
            do { return try SourceSchema(fitting: input) } catch { failure = failure ?? error }
        }
        throw failure ?? ConvertError(.usage, file: "", message: "no inputs to convert")
    }

    /// The built-in schema that fits a file: by what the file is, and for ROOT files by their trees and branches.
    /// - Throws: `ConvertError` with code `input` that says what the file holds, if none fits; `ROOTError` if it is a damaged ROOT file.
    public init(fitting path: String) throws {
        let file = try InputFile(path: path)
        guard file.size >= 4, try file.read(at: 0, count: 4) == Array("root".utf8) else {
            // What is neither is told from a damaged HDF5 file when it is opened.
            self = try SourceSchema(named: "aspen-open-jets")
            return
        }
        let root = try ROOTFile(path: path)
        for (name, telling) in [("jetclass", "part_px"), ("pfnano", "nPFCands")] {
            let schema = try SourceSchema(named: name)
            guard let tree = schema.tree, root.keys.contains(where: { $0.name == tree && $0.className == "TTree" })
            else {
                continue
            }
            if try root.tree(named: tree).hasBranch(telling) {
                self = schema
                return
            }
        }
        let held = root.keys.filter { !ROOTFile.isDirectory($0) }.map { "\($0.name) (\($0.className))" }
        throw ConvertError(
            .input, file: path,
            message: "is neither a JetClass nor a PFNano file; it holds "
                + (held.isEmpty ? "no objects" : Array(Set(held)).sorted().prefix(20).joined(separator: ", ")),
            advice: "describe it in a JSON file as those under schemas/sources, and name that with --schema")
    }
}
