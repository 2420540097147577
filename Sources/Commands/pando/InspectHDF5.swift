import Foundation
import HDF5File
import Terminal

/// What an HDF5 file holds. Its JSON keys are the names of the properties; keys without a value are left out.
struct HDF5Summary: Encodable {
    struct Filter: Encodable {
        var id: Int
        var name: String
        var parameters: [UInt32]
    }

    struct Attribute: Encodable {
        var name: String
        var type: String
        var shape: [Int]
        /// As text; long ones are cut.
        var value: String

        init(_ attribute: HDF5Attribute) {
            name = attribute.name
            type = attribute.type
            shape = attribute.shape
            value = attribute.value
        }
    }

    struct Dataset: Encodable {
        var path: String
        var type: String
        /// `little` or `big`.
        var byteOrder: String
        var shape: [Int]
        /// Null along an axis without limit.
        var maxShape: [Int?]
        /// `compact`, `contiguous`, `chunked` or `virtual`.
        var layout: String
        var chunkShape: [Int]?
        var chunks: Int?
        /// In the order in which a writer applies them.
        var filters: [Filter]
        /// Bytes of the elements; absent for types that are not read.
        var bytes: Int?
        var storedBytes: Int
        /// `storedBytes` as a share of `bytes`.
        var ratio: Double?
        var attributes: [Attribute]
    }

    struct Group: Encodable {
        /// Empty for the root.
        var path: String
        var attributes: [Attribute]
    }

    let kind = "hdf5"
    var path: String
    /// Bytes of the file.
    var bytes: Int
    var datasets: [Dataset]
    /// Groups on the way to datasets.
    var groups: [Group]

    /// Looks at a file.
    /// - Parameter names: Paths of datasets to look at; nil for all.
    /// - Throws: `HDF5Error`.
    init(path: String, datasets names: [String]? = nil) throws {
        let file = try HDF5File(path: path)
        self.path = path
        bytes = file.size
        let known = try file.datasets()
        for name in names ?? [] where !known.contains(where: { $0.path == name }) {
            throw HDF5Error(
                .missingDataset, file: path, place: name, message: "no such dataset",
                advice: "the file has \(known.map(\.path).joined(separator: ", "))")
        }
        datasets = try known.filter { names?.contains($0.path) ?? true }.map { info in
            try Dataset(info, attributes: file.attributes(of: info.path).map { Attribute($0) })
        }
        var paths: Set = [""]
        for info in known {
            let parts = info.path.split(separator: "/").dropLast()
            for count in parts.indices { paths.insert(parts[...count].joined(separator: "/")) }
        }
        groups = try paths.sorted().map { group in
            Group(path: group, attributes: try file.attributes(of: group).map { Attribute($0) })
        }
    }

    /// Prints it.
    func show() {
        Page.line(
            "\(path): HDF5 file of \(Format.counted(datasets.count, "dataset")), \(Format.bytes(bytes))")
        for group in groups where !group.attributes.isEmpty {
            Page.heading("group /\(group.path)")
            show(group.attributes)
        }
        for dataset in datasets { show(dataset) }
    }

    private func show(_ dataset: Dataset) {
        Page.heading(
            "/\(dataset.path): \(dataset.type)\(dataset.byteOrder == "big" ? ", big-endian" : "") \(dataset.shape)")
        let most = dataset.maxShape.map { $0.map(String.init) ?? "unlimited" }.joined(separator: ", ")
        if dataset.maxShape != dataset.shape.map({ $0 }) { Page.line("  may grow to [\(most)]") }
        let filters = dataset.filters.map { filter in
            let name = filter.name.isEmpty ? "filter \(filter.id)" : filter.name
            return filter.parameters.isEmpty
                ? name : "\(name)(\(filter.parameters.map(String.init).joined(separator: ",")))"
        }
        var layout = dataset.layout
        if let chunk = dataset.chunkShape { layout += ", \(Format.counted(dataset.chunks ?? 0, "chunk")) of \(chunk)" }
        if !filters.isEmpty { layout += ", \(filters.joined(separator: " then "))" }
        Page.line("  \(layout)")
        let bytes = dataset.bytes.map { " of \(Format.bytes($0))" } ?? ""
        let ratio = dataset.ratio.map { String(format: ", ratio %.3f", $0) } ?? ""
        Page.line("  \(Format.bytes(dataset.storedBytes)) stored\(bytes)\(ratio)")
        show(dataset.attributes)
    }

    private func show(_ attributes: [Attribute]) {
        for attribute in attributes {
            let shape = attribute.shape.isEmpty ? "" : " \(attribute.shape)"
            Page.line("  @\(attribute.name) (\(attribute.type)\(shape)): \(attribute.value)")
        }
    }
}

extension HDF5Summary.Dataset {
    fileprivate init(_ info: HDF5DatasetInfo, attributes: [HDF5Summary.Attribute]) {
        self.init(
            path: info.path, type: info.element.description,
            byteOrder: info.byteOrder == .bigEndian ? "big" : "little", shape: info.shape, maxShape: info.maxShape,
            layout: "\(info.layout)", chunkShape: info.chunkShape, chunks: info.chunkCount,
            filters: info.filters.map { .init(id: $0.id, name: $0.name, parameters: $0.parameters) },
            bytes: info.byteCount, storedBytes: info.storedBytes,
            ratio: info.byteCount.flatMap { $0 > 0 ? Double(info.storedBytes) / Double($0) : nil },
            attributes: attributes)
    }
}
