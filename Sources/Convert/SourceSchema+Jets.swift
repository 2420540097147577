import Shards

extension SourceSchema {
    /// The jets of a dataset with all columns that it has one value a jet of, and with other constituents: what `DatasetBuilder` needs to
    /// make a dataset of them that has the same splits, labels and events.
    /// - Parameter file: The dataset, for errors.
    /// - Throws: `ConvertError` with code `schema` if the constituents do not go with the columns.
    public init(
        name: String, description: String, jetsOf catalogue: Catalogue, constituents: SourceDataset, file: String
    ) throws {
        self.name = name
        self.description = description
        format = .hdf5
        datasets = [constituents]
        for field in catalogue.encoding.jetFields {
            let known = catalogue.columns.first { $0.name == field.name }
            let column = SourceColumn(
                name: field.name, unit: known.flatMap { $0.unit == "1" ? nil : $0.unit },
                description: known?.description, key: catalogue.keys.contains(field.name) ? true : nil)
            if let index = datasets.firstIndex(where: { $0.path == field.dataset }) {
                datasets[index].columns.append(column)
            } else {
                datasets.append(
                    SourceDataset(path: field.dataset, type: field.type, role: field.role, columns: [column]))
            }
        }
        if let rule = catalogue.splits {
            if rule.rule == .value {
                split = rule.columns.first
                splits = rule.parts.map(\.name)
            } else {
                event = rule.columns
            }
        }
        try check(file: file)
    }
}
