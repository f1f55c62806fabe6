export async function getStaticProps() {
  return { props: { text: "what is paid for" } };
}

export default function Fixed({ text }) {
  return <p>{text}</p>;
}
